/* The floor on MariaDB: MariaDB's own C client, prepared statements, one thread a connection.
 *
 * floor SOCKET USER PASSWORD DATABASE OPERATION THREADS ROWS PAYLOAD SECONDS
 *
 * Its rows are called by numbers, in a table that is else the same: see runner/src/c_client.rs. */

#include <mysql.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FIRST 100000000000000000ULL
#define CHECK(what, failed) \
    do { if (failed) { fprintf(stderr, "floor: %s\n", what); exit(1); } } while (0)

static const char FIND[] =
    "SELECT session_id, data, created_at, updated_at FROM floor_sessions WHERE session_id IN (?, ?)";
static const char SAVE[] =
    "UPDATE floor_sessions SET data = ?, updated_at = UTC_TIMESTAMP(6) WHERE session_id = ?";
static const char INSERT[] =
    "INSERT INTO floor_sessions (session_id, data, created_at, updated_at) "
    "VALUES (?, ?, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))";
static const char RAW[] = "0123456789abcdef0123456789abcdef";

static char **arguments;
static unsigned long long rows;
static unsigned long payload;
static double seconds;

struct worker {
    pthread_t thread;
    unsigned long long random;
    unsigned *times;
    size_t count, room;
    MYSQL *connection;
    MYSQL_STMT *find, *save, *insert;
    char *data, *read;
    char id[80];
    unsigned long id_length;
};

static unsigned long long nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/* xorshift */
static unsigned long long chance(struct worker *w) {
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random;
}

static MYSQL_STMT *prepare(MYSQL *connection, const char *sql) {
    MYSQL_STMT *statement = mysql_stmt_init(connection);
    CHECK(mysql_error(connection), !statement || mysql_stmt_prepare(statement, sql, strlen(sql)));
    return statement;
}

static void bind_text(MYSQL_BIND *bind, const char *text, unsigned long length) {
    bind->buffer_type = MYSQL_TYPE_STRING;
    bind->buffer = (char *)text;
    bind->buffer_length = length;
}

static void execute(MYSQL_STMT *statement, MYSQL_BIND *parameters) {
    CHECK("binding", mysql_stmt_bind_param(statement, parameters));
    CHECK(mysql_stmt_error(statement), mysql_stmt_execute(statement));
}

static void find(struct worker *w) {
    MYSQL_BIND parameters[2] = {0}, columns[4] = {0};
    char id[80];
    MYSQL_TIME created, updated;
    unsigned long length = 0;
    bind_text(&parameters[0], w->id, w->id_length);
    bind_text(&parameters[1], RAW, sizeof RAW - 1);
    execute(w->find, parameters);
    bind_text(&columns[0], id, sizeof id);
    bind_text(&columns[1], w->read, payload);
    columns[1].length = &length;
    columns[2].buffer_type = columns[3].buffer_type = MYSQL_TYPE_DATETIME;
    columns[2].buffer = &created;
    columns[3].buffer = &updated;
    CHECK("binding a row", mysql_stmt_bind_result(w->find, columns));
    CHECK("no row", mysql_stmt_fetch(w->find) || length != payload);
    mysql_stmt_free_result(w->find);
}

static void save(struct worker *w) {
    MYSQL_BIND parameters[2] = {0};
    snprintf(w->data, 24, "%023llu", chance(w));
    w->data[23] = 'x';
    bind_text(&parameters[0], w->data, payload);
    bind_text(&parameters[1], w->id, w->id_length);
    execute(w->save, parameters);
    CHECK("no row to save", mysql_stmt_affected_rows(w->save) != 1);
}

static void insert(struct worker *w) {
    MYSQL_BIND parameters[2] = {0};
    w->id_length = sprintf(w->id, "2::%032llx%032llx", chance(w), chance(w));
    bind_text(&parameters[0], w->id, w->id_length);
    bind_text(&parameters[1], w->data, payload);
    execute(w->insert, parameters);
}

static void operate(struct worker *w, unsigned long long number) {
    const char *operation = arguments[5];
    if (!strcmp(operation, "insert")) {
        insert(w);
        return;
    }
    w->id_length = sprintf(w->id, "%llu", FIRST + chance(w) % rows);
    if (!strcmp(operation, "save") || (!strcmp(operation, "mix") && number % 10 == 0)) save(w);
    else find(w);
}

static void *work(void *given) {
    struct worker *w = given;
    mysql_thread_init();
    w->connection = mysql_init(NULL);
    CHECK(mysql_error(w->connection),
          !mysql_real_connect(w->connection, "localhost", arguments[2], arguments[3], arguments[4], 0,
                              arguments[1], 0));
    w->find = prepare(w->connection, FIND);
    w->save = prepare(w->connection, SAVE);
    w->insert = prepare(w->connection, INSERT);
    w->data = memset(malloc(payload + 24), 'x', payload + 24);
    w->read = malloc(payload);
    unsigned long long now = nanoseconds(), end = now + (unsigned long long)(seconds * 1e9);
    for (unsigned long long number = 0; now < end; number++) {
        operate(w, number);
        unsigned long long then = nanoseconds();
        if (w->count == w->room) {
            w->room = w->room * 2 + 1024;
            w->times = realloc(w->times, w->room * sizeof *w->times);
        }
        w->times[w->count++] = (then - now) / 1000;
        now = then;
    }
    mysql_close(w->connection);
    mysql_thread_end();
    return NULL;
}

static int compare(const void *one, const void *other) {
    unsigned a = *(const unsigned *)one, b = *(const unsigned *)other;
    return (a > b) - (a < b);
}

int main(int count, char **given) {
    CHECK("nine arguments", count != 10);
    arguments = given;
    int threads = atoi(given[6]);
    rows = strtoull(given[7], NULL, 10);
    payload = strtoul(given[8], NULL, 10);
    seconds = atof(given[9]);
    mysql_library_init(0, NULL, NULL);
    struct worker *workers = calloc(threads, sizeof *workers);
    for (int n = 0; n < threads; n++) {
        workers[n].random = nanoseconds() * 2654435761ULL + n + 1;
        pthread_create(&workers[n].thread, NULL, work, &workers[n]);
    }
    size_t total = 0;
    for (int n = 0; n < threads; n++) {
        pthread_join(workers[n].thread, NULL);
        total += workers[n].count;
    }
    CHECK("nothing was done", total == 0);
    unsigned *times = malloc(total * sizeof *times), *at = times;
    for (int n = 0; n < threads; n++) {
        memcpy(at, workers[n].times, workers[n].count * sizeof *times);
        at += workers[n].count;
    }
    qsort(times, total, sizeof *times, compare);
    printf("{\"ops_per_second\":%.1f,\"p50_us\":%u,\"p99_us\":%u}\n", total / seconds,
           times[total / 2], times[total * 99 / 100]);
    return 0;
}
