;; A plugin that no toolchain made, for version 1.0.0 of the contract: it imports an interface of that
;; version, and reports what that returns. The layout is that of sensor.wat.
(component
  (import "harvester:plugin/system-info@1.0.0" (instance $info
    (export "get-uptime" (func (result u64)))))
  (core func $uptime (canon lower (func $info "get-uptime")))
  (core module $module
    (import "host" "uptime" (func $uptime (result i64)))
    (memory (export "memory") 1)
    (data (i32.const 256) "by-hand")
    (data (i32.const 272) "answer")
    (func (export "poll") (result i32)
      ;; result<list<reading>, string> at 16: ok, then where the list is and how long
      (i32.store8 (i32.const 16) (i32.const 0))
      (i32.store (i32.const 20) (i32.const 64))
      (i32.store (i32.const 24) (i32.const 1))
      ;; reading at 64: sensor-id, timestamp-ms, values
      (i32.store (i32.const 64) (i32.const 256))
      (i32.store (i32.const 68) (i32.const 7))
      (i64.store (i32.const 72) (i64.const 1700000000000))
      (i32.store (i32.const 80) (i32.const 128))
      (i32.store (i32.const 84) (i32.const 1))
      ;; tuple<string, f64> at 128
      (i32.store (i32.const 128) (i32.const 272))
      (i32.store (i32.const 132) (i32.const 6))
      (f64.store (i32.const 136) (f64.convert_i64_u (call $uptime)))
      (i32.const 16)))
  (core instance $core (instantiate $module
    (with "host" (instance (export "uptime" (func $uptime))))))
  (type $reading (record
    (field "sensor-id" string)
    (field "timestamp-ms" u64)
    (field "values" (list (tuple string float64)))))
  (func $poll (result (result (list $reading) (error string)))
    (canon lift (core func $core "poll") (memory (core memory $core "memory"))))
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
  (instance $made (instantiate $logic
    (with "reading" (type $reading))
    (with "poll" (func $poll))))
  (export "harvester:plugin/sensor-logic@1.0.0" (instance $made)))
