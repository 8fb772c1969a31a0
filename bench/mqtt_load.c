/* MQTT load generator: one publisher and its subscribers over bare sockets, one thread.
 *
 *   mqtt_load PORT VERSION QOS WINDOW SECONDS KEPT TOPIC NAME SECRET [NAME SECRET]...
 *
 * VERSION is the protocol level: 4 of MQTT 3.1.1, or 5 with packets without properties but the session
 * expiry interval.
 *
 * The first name publishes to TOPIC, the others subscribe to it. At most WINDOW messages are on their
 * way: neither acknowledged nor arrived at the slowest subscriber. KEPT is "clean", "kept" where the
 * subscribers have kept sessions, or "absent" where these are gone when the first message is published.
 * It prints "begin" after a warm-up, and then "end MESSAGES SECONDS": the messages that arrived, with
 * absent subscribers those that were acknowledged.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNACK = 2, PUBLISH = 3, PUBACK = 4, PUBREC = 5, PUBREL = 6, PUBCOMP = 7, SUBACK = 9 };
#define MOST_CLIENTS 64
#define BUFFER (1 << 20)
#define PAYLOAD 100
#define WARM_UP_S 0.5

typedef struct {
    int socket;
    uint8_t *in;
    size_t length;
    long received, acknowledged;
    unsigned seen; /* Types of packets that came, a bit each. */
} Client;

static Client clients[MOST_CLIENTS];
static int count, version;
static uint8_t out[BUFFER];

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double now_s(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static void send_all(Client *client, const uint8_t *data, size_t length) {
    while (length) {
        ssize_t sent = send(client->socket, data, length, MSG_NOSIGNAL);
        if (sent < 0) fail("send");
        data += sent;
        length -= sent;
    }
}

static uint8_t *put_text(uint8_t *at, const char *text) {
    size_t length = strlen(text);
    *at++ = length >> 8;
    *at++ = length;
    memcpy(at, text, length);
    return at + length;
}

static uint8_t *put_length(uint8_t *at, size_t length) {
    do {
        *at++ = (length & 127) | (length > 127 ? 128 : 0);
        length >>= 7;
    } while (length);
    return at;
}

static void send_packet(Client *client, uint8_t first, const uint8_t *body, size_t length) {
    uint8_t head[5] = {first};
    size_t size = put_length(head + 1, length) - head;
    send_all(client, head, size);
    send_all(client, body, length);
}

/* Count the packet, and answer it into `answer`; return the end of the answer. */
static uint8_t *take(Client *client, uint8_t first, const uint8_t *body, uint8_t *answer) {
    int qos = first >> 1 & 3;
    client->seen |= 1u << (first >> 4);
    switch (first >> 4) {
    case PUBLISH:
        client->received++;
        if (qos) {
            const uint8_t *id = body + 2 + (body[0] << 8 | body[1]);
            uint8_t ack[4] = {(qos == 1 ? PUBACK : PUBREC) << 4, 2, id[0], id[1]};
            memcpy(answer, ack, 4);
            answer += 4;
        }
        break;
    case PUBREC:
    case PUBREL: {
        uint8_t ack[4] = {first >> 4 == PUBREC ? PUBREL << 4 | 2 : PUBCOMP << 4, 2, body[0], body[1]};
        memcpy(answer, ack, 4);
        answer += 4;
        break;
    }
    case PUBACK:
    case PUBCOMP:
        client->acknowledged++;
    }
    return answer;
}

static void read_some(Client *client) {
    ssize_t got = recv(client->socket, client->in + client->length, BUFFER - client->length, 0);
    if (got <= 0) fail("the broker closed the connection");
    client->length += got;
    size_t at = 0;
    uint8_t *answer = out;
    while (client->length - at >= 2) {
        size_t length = 0, place = at + 1;
        int shift = 0;
        while (place < client->length) {
            length |= (size_t)(client->in[place] & 127) << shift;
            shift += 7;
            if (client->in[place++] < 128) goto whole;
        }
        break;
    whole:
        if (place + length > client->length) break;
        answer = take(client, client->in[at], client->in + place, answer);
        at = place + length;
    }
    memmove(client->in, client->in + at, client->length -= at);
    send_all(client, out, answer - out);
}

static void wait_for(Client *client, uint8_t type) {
    client->seen = 0;
    while (!(client->seen & 1u << type)) read_some(client);
}

static void open_client(Client *client, int port, const char *name, const char *secret, int is_kept) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    client->socket = socket(AF_INET, SOCK_STREAM, 0);
    client->in = client->in ? client->in : malloc(BUFFER);
    client->length = 0;
    if (connect(client->socket, (void *)&address, sizeof address)) fail("connect");
    int yes = 1;
    setsockopt(client->socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    uint8_t body[1024], *at = put_text(body, "MQTT");
    *at++ = version;
    *at++ = 0xC0 | (is_kept ? 0 : 2);
    *at++ = 0;
    *at++ = 60;
    if (version == 5) {
        /* The session expiry interval: an hour for a kept session. */
        uint8_t properties[6] = {5, 0x11, 0, 0, is_kept ? 0x0E : 0, is_kept ? 0x10 : 0};
        memcpy(at, properties, sizeof properties);
        at += sizeof properties;
    }
    at = put_text(put_text(put_text(at, name), name), secret);
    send_packet(client, 0x10, body, at - body);
    wait_for(client, CONNACK);
}

static void leave(Client *client) {
    send_all(client, (const uint8_t *)"\xe0\0", 2);
    while (recv(client->socket, client->in, BUFFER, 0) > 0) continue;
    close(client->socket);
}

static void subscribe(Client *client, const char *topic, int qos) {
    uint8_t body[1024] = {0, 1, 0}, *at = put_text(body + (version == 5 ? 3 : 2), topic);
    *at++ = qos;
    send_packet(client, 0x82, body, at - body);
    wait_for(client, SUBACK);
}

static long slowest(int qos, int is_absent) {
    long least = qos ? clients[0].acknowledged : -1;
    for (int n = 1; n < count && !is_absent; n++)
        if (least < 0 || clients[n].received < least) least = clients[n].received;
    return least;
}

static long arrived(int is_absent) {
    long sum = is_absent ? clients[0].acknowledged : 0;
    for (int n = 1; n < count && !is_absent; n++) sum += clients[n].received;
    return sum;
}

static void publish(const char *topic, int qos, long from, long to) {
    uint8_t *at = out;
    for (long number = from; number < to; number++) {
        size_t length = 2 + strlen(topic) + (qos ? 2 : 0) + (version == 5) + PAYLOAD;
        *at++ = PUBLISH << 4 | qos << 1;
        at = put_text(put_length(at, length), topic);
        if (qos) {
            int id = number % 65535 + 1;
            *at++ = id >> 8;
            *at++ = id;
        }
        if (version == 5) *at++ = 0;
        memset(at, 'x', PAYLOAD);
        at += PAYLOAD;
    }
    send_all(&clients[0], out, at - out);
}

int main(int argc, char **argv) {
    if (argc < 10 || (argc - 8) / 2 > MOST_CLIENTS) return 2;
    int port = atoi(argv[1]), qos = atoi(argv[3]), window = atoi(argv[4]);
    int is_absent = !strcmp(argv[6], "absent"), is_kept = is_absent || !strcmp(argv[6], "kept");
    double seconds = atof(argv[5]);
    const char *topic = argv[7];
    version = atoi(argv[2]);
    open_client(&clients[count++], port, argv[8], argv[9], 0);
    for (int n = 10; n + 1 < argc; n += 2) {
        Client *client = &clients[count++];
        /* A clean session first, so that no run begins with the messages of another. */
        open_client(client, port, argv[n], argv[n + 1], 0);
        if (is_kept) {
            leave(client);
            open_client(client, port, argv[n], argv[n + 1], 1);
        }
        subscribe(client, topic, qos);
        if (is_absent) leave(client);
    }
    struct pollfd polled[MOST_CLIENTS];
    int watched = is_absent ? 1 : count;
    for (int n = 0; n < watched; n++) polled[n] = (struct pollfd){clients[n].socket, POLLIN, 0};
    long sent = 0, before = 0;
    double began_s = now_s();
    int is_warm = 0;
    while (now_s() - began_s < (is_warm ? seconds : WARM_UP_S)) {
        long done = slowest(qos, is_absent);
        /* In bursts, as a client does that reads several acknowledgements at once. */
        if (sent - done <= window * 3 / 4) {
            publish(topic, qos, sent, done + window);
            sent = done + window;
        }
        if (poll(polled, watched, 1000) < 0) fail("poll");
        for (int n = 0; n < watched; n++)
            if (polled[n].revents) read_some(&clients[n]);
        if (!is_warm && now_s() - began_s >= WARM_UP_S) {
            is_warm = 1;
            before = arrived(is_absent);
            printf("begin\n");
            fflush(stdout);
            began_s = now_s();
        }
    }
    printf("end %ld %f\n", arrived(is_absent) - before, now_s() - began_s);
    return 0;
}
