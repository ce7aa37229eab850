/* Asking facts. */
#ifndef TESTS_INSPECT_FACTS_H
#define TESTS_INSPECT_FACTS_H

#include <jansson.h>

#include "inspect/inspect.h"
#include "test.h"

/* "" and -1 when there is no such fact. A key may have parts: "network/ngf". */
static inline const json_t *fact_at(const inspect_facts *facts, const char *key)
{
    const json_t *value = facts->object;
    char part[64];
    while (value && *key) {
        size_t length = strcspn(key, "/");
        snprintf(part, sizeof part, "%.*s", (int)length, key);
        value = json_object_get(value, part);
        key += length + (key[length] == '/');
    }
    return value;
}

static inline const char *fact_text(const inspect_facts *facts, const char *key)
{
    const char *value = json_string_value(fact_at(facts, key));
    return value ? value : "";
}

static inline double fact_number(const inspect_facts *facts, const char *key)
{
    const json_t *value = fact_at(facts, key);
    return json_is_number(value) ? json_number_value(value) : -1;
}

/* Inspecting fails with one line that begins with the path and contains `part`. */
static inline void check_refused(test *t, const char *path, const char *part)
{
    inspect_options options = {.threads = 1};
    inspect_facts facts = {0};
    error err = {0};
    CHECK(t, inspect_path(path, &options, &facts, &err) == STATUS_FAILED);
    CHECK(t, facts.object == NULL && facts.lines.data == NULL);
    if (strncmp(err.message, path, strlen(path)) != 0 || strchr(err.message, '\n') || !strstr(err.message, part))
        test_failed(t, __FILE__, __LINE__, "'%s' is not a line about %s with '%s'", err.message, path, part);
}

#endif
