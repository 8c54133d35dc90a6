/* The floor on MariaDB: threads of libmariadb, each with a connection of its own and one prepared
 * statement, and nothing else.
 *
 *   mysql_floor SOCKET USER DATABASE THREADS BYTES IDS PARAMS SQL
 *
 * FLOOR_PASSWORD holds the password. IDS is a file with a private id and a raw one on each line.
 * PARAMS has a letter for each placeholder: p a private id, r a raw id, n a new id, d data. Reads a
 * count of statements from each line of the input, runs as many and prints the seconds that took, and
 * the microseconds that half of them and 99 in 100 took at most. */

#include <mysql.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_PARAMS = 16, MAX_COLUMNS = 8, COLUMN = 70000, ID = 68 };

static struct {
    const char *socket, *user, *password, *database, *params, *sql;
    size_t bytes, ids;
    char (*private)[ID], (*raw)[ID];
} setup;

static pthread_barrier_t begin, end;
static long left, step;
/* Another in each process, so that no row is given the data that it has. */
static unsigned long first;

struct worker {
    pthread_t thread;
    MYSQL *connection;
    MYSQL_STMT *statement;
    MYSQL_BIND params[MAX_PARAMS], columns[MAX_COLUMNS];
    MYSQL_TIME times[MAX_COLUMNS];
    char *values[MAX_COLUMNS], *data, new_id[ID];
    unsigned long lengths[MAX_PARAMS], found[MAX_COLUMNS];
    unsigned seed, *taken;
    size_t count, room;
};

static void fail(const char *doing, const char *why) {
    fprintf(stderr, "%s: %s\n", doing, why);
    exit(1);
}

static unsigned long nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long)now.tv_sec * 1000000000UL + (unsigned long)now.tv_nsec;
}

static void bind(struct worker *w) {
    size_t count = strlen(setup.params);
    if (count > MAX_PARAMS || count != mysql_stmt_param_count(w->statement)) fail("binding", "parameters");
    for (size_t i = 0; i < count; i++) {
        w->params[i].buffer_type = MYSQL_TYPE_STRING;
        w->params[i].length = &w->lengths[i];
    }
    MYSQL_RES *fields = mysql_stmt_result_metadata(w->statement);
    if (!fields) return;
    unsigned columns = mysql_num_fields(fields);
    if (columns > MAX_COLUMNS) fail("binding", "columns");
    for (unsigned i = 0; i < columns; i++) {
        MYSQL_BIND *column = &w->columns[i];
        column->length = &w->found[i];
        if (mysql_fetch_field_direct(fields, i)->type == MYSQL_TYPE_DATETIME) {
            column->buffer_type = MYSQL_TYPE_DATETIME;
            column->buffer = &w->times[i];
        } else {
            column->buffer_type = MYSQL_TYPE_STRING;
            column->buffer = w->values[i] = malloc(COLUMN);
            column->buffer_length = COLUMN;
        }
    }
    mysql_free_result(fields);
    if (mysql_stmt_bind_result(w->statement, w->columns)) fail("binding", mysql_stmt_error(w->statement));
}

static void fill(struct worker *w, long n) {
    size_t at = (size_t)n * 7919 % setup.ids;
    for (size_t i = 0; setup.params[i]; i++) {
        char *value = w->data;
        switch (setup.params[i]) {
        case 'p': value = setup.private[at]; break;
        case 'r': value = setup.raw[at]; break;
        case 'n':
            value = w->new_id;
            snprintf(value, ID, "2::%016lx%016lx%08x%08x%08x%08x", n, (long)time(NULL), rand_r(&w->seed),
                     rand_r(&w->seed), rand_r(&w->seed), rand_r(&w->seed));
            break;
        default: snprintf(w->data, 17, "%016lx", first + (unsigned long)n); w->data[16] = 'x';
        }
        w->params[i].buffer = value;
        w->lengths[i] = value == w->data ? setup.bytes : strlen(value);
    }
    if (mysql_stmt_bind_param(w->statement, w->params)) fail("binding", mysql_stmt_error(w->statement));
}

static void run(struct worker *w, long n) {
    fill(w, n);
    if (mysql_stmt_execute(w->statement)) fail("executing", mysql_stmt_error(w->statement));
    if (mysql_stmt_field_count(w->statement) == 0) {
        if (mysql_stmt_affected_rows(w->statement) != 1) fail("executing", "no row");
        return;
    }
    long rows = 0;
    while (mysql_stmt_fetch(w->statement) == 0) rows++;
    if (rows != 1) fail("reading", "no row");
    mysql_stmt_free_result(w->statement);
}

static void take(struct worker *w, unsigned long nanoseconds) {
    if (w->count == w->room) {
        w->room = 2 * w->room + 1024;
        w->taken = realloc(w->taken, w->room * sizeof *w->taken);
    }
    w->taken[w->count++] = (unsigned)(nanoseconds / 1000);
}

static void *work(void *argument) {
    struct worker *w = argument;
    w->connection = mysql_init(NULL);
    if (!mysql_real_connect(w->connection, NULL, setup.user, setup.password, setup.database, 0, setup.socket,
                            CLIENT_FOUND_ROWS))
        fail("connecting", mysql_error(w->connection));
    mysql_set_character_set(w->connection, "utf8mb4");
    w->statement = mysql_stmt_init(w->connection);
    if (mysql_stmt_prepare(w->statement, setup.sql, strlen(setup.sql))) fail("preparing", mysql_stmt_error(w->statement));
    w->data = malloc(setup.bytes + 1);
    memset(w->data, 'x', setup.bytes);
    w->seed = (unsigned)time(NULL) ^ (unsigned)(size_t)w;
    bind(w);
    for (;;) {
        pthread_barrier_wait(&begin);
        w->count = 0;
        unsigned long from = nanoseconds();
        while (__atomic_fetch_sub(&left, 1, __ATOMIC_RELAXED) > 0) {
            run(w, __atomic_fetch_add(&step, 1, __ATOMIC_RELAXED));
            unsigned long to = nanoseconds();
            take(w, to - from);
            from = to;
        }
        pthread_barrier_wait(&end);
    }
    return NULL;
}

static void read_ids(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) fail("reading ids", path);
    size_t room = 0;
    char private[ID], raw[ID];
    while (fscanf(file, "%67s %67s", private, raw) == 2) {
        if (setup.ids == room) {
            room = room ? 2 * room : 1024;
            setup.private = realloc(setup.private, room * ID);
            setup.raw = realloc(setup.raw, room * ID);
        }
        strcpy(setup.private[setup.ids], private);
        strcpy(setup.raw[setup.ids++], raw);
    }
    fclose(file);
}

static int compare(const void *one, const void *other) {
    unsigned a = *(const unsigned *)one, b = *(const unsigned *)other;
    return (a > b) - (a < b);
}

static void report(const struct worker *workers, unsigned threads, unsigned long time) {
    size_t total = 0;
    for (unsigned i = 0; i < threads; i++) total += workers[i].count;
    unsigned *all = calloc(total + 1, sizeof *all), *at = all;
    for (unsigned i = 0; i < threads; i++) {
        for (size_t n = 0; n < workers[i].count; n++) *at++ = workers[i].taken[n];
    }
    qsort(all, total, sizeof *all, compare);
    printf("%.9f %u %u\n", (double)time / 1e9, all[total / 2], all[total * 99 / 100]);
    fflush(stdout);
    free(all);
}

int main(int argc, char **argv) {
    if (argc != 9) fail("reading arguments", "see the source");
    setup.socket = argv[1];
    setup.user = argv[2];
    setup.database = argv[3];
    setup.params = argv[7];
    setup.sql = argv[8];
    setup.password = getenv("FLOOR_PASSWORD");
    setup.bytes = strtoul(argv[5], NULL, 10);
    read_ids(argv[6]);
    first = nanoseconds();
    unsigned threads = (unsigned)atoi(argv[4]);
    pthread_barrier_init(&begin, NULL, threads + 1);
    pthread_barrier_init(&end, NULL, threads + 1);
    struct worker *workers = calloc(threads, sizeof *workers);
    mysql_library_init(0, NULL, NULL);
    for (unsigned i = 0; i < threads; i++) pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    long count;
    while (scanf("%ld", &count) == 1) {
        left = count;
        pthread_barrier_wait(&begin);
        unsigned long from = nanoseconds();
        pthread_barrier_wait(&end);
        report(workers, threads, nanoseconds() - from);
    }
    return 0;
}
