// MQTT.js: subscribes, publishes at each QoS, and ends when everything has come back.
// Arguments: URL, CA or "", topic, protocol version or "" for the default.
const mqtt = require("mqtt");
const fs = require("fs");

const [url, ca, topic, version] = process.argv.slice(2);
const client = mqtt.connect(url, {
  username: process.env.MQTT_USER,
  password: process.env.MQTT_PASSWORD,
  ...(ca ? { ca: fs.readFileSync(ca) } : {}),
  ...(version ? { protocolVersion: Number(version) } : {}),
  ...(version === "3" ? { protocolId: "MQIsdp" } : {}),
});
const heard = [];
const large = "x".repeat(100000);

client.on("error", (error) => {
  console.error(String(error));
  process.exit(1);
});
client.on("connect", () => {
  client.subscribe(`${topic}/#`, { qos: 2 }, () => {
    client.publish(`${topic}/a`, "0");
    client.publish(`${topic}/a`, "1", { qos: 1 });
    client.publish(`${topic}/a`, large, { qos: 2 });
  });
});
client.on("message", (_, payload) => {
  heard.push(payload.toString());
  if (heard.length === 3) {
    client.end(false, () => {
      console.log(heard.sort().map((text) => text.length).join(" "));
    });
  }
});
