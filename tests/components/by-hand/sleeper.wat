;; A plugin that no toolchain made: it waits for an hour through WASI's own functions. `poll` waits in
;; wasi:io/poll.poll, `update` in wasi:io/poll.pollable.block.
(component
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $resource (sub resource)))
    (export "poll" (func (param "in" (list (borrow $resource))) (result (list u32))))
    (export "[method]pollable.block" (func (param "self" (borrow $resource))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $outer))
    (export "pollable" (type $clocked (eq $outer)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $clocked))))))
  (core module $memory-module
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $store (instantiate $memory-module))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core func $poll-list (canon lower (func $poll "poll")
    (memory (core memory $store "memory")) (realloc (core func $store "realloc"))))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core module $module
    (import "wasi" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "wasi" "poll" (func $poll (param i32 i32 i32)))
    (import "wasi" "block" (func $block (param i32)))
    (import "store" "memory" (memory 1))
    (func (export "poll") (result i32)
      (i32.store (i32.const 64) (call $subscribe (i64.const 3600000000000)))
      (call $poll (i32.const 64) (i32.const 1) (i32.const 80))
      (i32.const 16))
    (func (export "update") (param i32 i32)
      (call $block (call $subscribe (i64.const 3600000000000)))))
  (core instance $core (instantiate $module
    (with "wasi" (instance
      (export "subscribe" (func $subscribe))
      (export "poll" (func $poll-list))
      (export "block" (func $block))))
    (with "store" (instance $store))))
  (type $reading (record
    (field "sensor-id" string)
    (field "timestamp-ms" u64)
    (field "values" (list (tuple string float64)))))
  (func $polled (result (result (list $reading) (error string)))
    (canon lift (core func $core "poll") (memory (core memory $store "memory"))))
  (func $updated (param "json" string)
    (canon lift (core func $core "update")
      (memory (core memory $store "memory")) (realloc (core func $store "realloc"))))
  ;; An exported function may only name types that are exported with it.
  (component $logic
    (type $plain (record
      (field "sensor-id" string)
      (field "timestamp-ms" u64)
      (field "values" (list (tuple string float64)))))
    (import "reading" (type $imported (eq $plain)))
    (import "poll" (func $given (result (result (list $imported) (error string)))))
    (export $reading "reading" (type $plain))
    (export "poll" (func $given)
      (func (result (result (list $reading) (error string))))))
  (component $display
    (import "update" (func $given (param "json" string)))
    (export "update" (func $given)))
  (instance $made (instantiate $logic
    (with "reading" (type $reading))
    (with "poll" (func $polled))))
  (instance $shown (instantiate $display (with "update" (func $updated))))
  (export "harvester:plugin/sensor-logic@1.1.0" (instance $made))
  (export "harvester:plugin/oled-logic@1.1.0" (instance $shown)))
