#include "cli/arguments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_SHOWN = 200, LINE_WIDTH = 80, USAGE_INDENT = 8, HELP_COLUMN = 26 };

static const argument_option help_option = {
    .name = "help", .letter = 'h', .ends = true, .help = "print this text"};

/* Option number i of the table and, after them, --help. */
static const argument_option *option_at(const argument_table *table, size_t i)
{
    return i < table->option_count ? &table->options[i] : &help_option;
}

static const argument_option *find_name(const argument_table *table, const char *name, size_t length)
{
    for (size_t i = 0; i <= table->option_count; i++) {
        const argument_option *option = option_at(table, i);
        if (strlen(option->name) == length && memcmp(option->name, name, length) == 0) return option;
    }
    return NULL;
}

static const argument_option *find_letter(const argument_table *table, const char *letters)
{
    if (letters[0] == '\0' || letters[1] != '\0') return NULL;
    for (size_t i = 0; i <= table->option_count; i++)
        if (option_at(table, i)->letter == letters[0]) return option_at(table, i);
    return NULL;
}

/* The option that a word stands for; *value points after its '=', or is NULL. */
static const argument_option *find_word(const argument_table *table, const char *word, const char **value)
{
    *value = NULL;
    if (word[1] != '-') return find_letter(table, word + 1);
    const char *equals = strchr(word, '=');
    if (equals) *value = equals + 1;
    return find_name(table, word + 2, equals ? (size_t)(equals - word) - 2 : strlen(word) - 2);
}

static bool looks_like_option(const char *word) { return word[0] == '-' && word[1] != '\0'; }

static status unknown_option(const argument_table *table, const char *word, error *err)
{
    char shown[NAME_SHOWN];
    text_printable(word, shown, sizeof shown);
    const char *nearest = NULL;
    if (text_starts_with(shown, "--")) {
        const char **names = malloc((table->option_count + 1) * sizeof *names);
        if (!names) return error_no_memory(err, "the options", table->option_count * sizeof *names);
        for (size_t i = 0; i <= table->option_count; i++) names[i] = option_at(table, i)->name;
        shown[2 + strcspn(shown + 2, "=")] = '\0';
        nearest = text_nearest(shown + 2, names, table->option_count + 1);
        free(names);
    }
    if (nearest)
        return error_set(err, STATUS_USAGE, "%s: unknown option '%s'; did you mean '--%s'?", table->command, shown,
                         nearest);
    return error_set(err, STATUS_USAGE, "%s: unknown option '%s'; 'cyclegan %s --help' lists them", table->command,
                     shown, table->command);
}

static status check_choice(const argument_table *table, const argument_option *option, const char *value, error *err)
{
    if (!option->choices) return STATUS_OK;
    size_t count = 0;
    text list = {0};
    for (; option->choices[count]; count++) {
        if (strcmp(option->choices[count], value) == 0) {
            text_free(&list);
            return STATUS_OK;
        }
        text_format(&list, "%s%s", count ? ", " : "", option->choices[count]);
    }
    char shown[NAME_SHOWN];
    const char *nearest = text_nearest(value, option->choices, count);
    status result = error_set(err, STATUS_USAGE, "%s: --%s: expected one of %s, found '%s'%s%s%s", table->command,
                              option->name, text_get(&list), text_printable(value, shown, sizeof shown),
                              nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    text_free(&list);
    return result;
}

/* Takes an option and, when it has one, its value; *used: words taken. */
static status take_option(argument_list *a, int count, char *const *words, int *used, bool *ends, error *err)
{
    const argument_table *table = a->table;
    const char *value;
    const argument_option *option = find_word(table, words[0], &value);
    if (!option) return unknown_option(table, words[0], err);
    *used = 1;
    if (!option->value && value)
        return error_set(err, STATUS_USAGE, "%s: --%s takes no value", table->command, option->name);
    if (option->value && !value) {
        const char *unused;
        /* Of "--model --to b" the model is missing; a file of that name can be given as --model=--to. */
        bool there = count > 1 && !(looks_like_option(words[1]) && find_word(table, words[1], &unused));
        if (!there)
            return error_set(err, STATUS_USAGE, "%s: --%s needs a value: --%s %s", table->command, option->name,
                             option->name, option->value);
        value = words[1];
        *used = 2;
    }
    if (option->value) TRY(check_choice(table, option, value, err));
    if (option->value && !option->repeated && arguments_has(a, option->name))
        return error_set(err, STATUS_USAGE, "%s: --%s is given twice", table->command, option->name);
    a->given[a->given_count++] = (argument_given){option, value};
    *ends = option->ends;
    return STATUS_OK;
}

static status check_complete(const argument_list *a, error *err)
{
    const argument_table *table = a->table;
    char shown[NAME_SHOWN];
    for (size_t i = 0; i < table->option_count; i++) {
        const argument_option *option = &table->options[i];
        if (option->required && !arguments_has(a, option->name))
            return error_set(err, STATUS_USAGE, "%s: --%s %s is missing", table->command, option->name,
                             option->value ? option->value : "");
    }
    size_t most = table->positional ? table->maximum : 0;
    if (a->positional_count < table->minimum)
        return error_set(err, STATUS_USAGE, "%s: %s is missing", table->command, table->positional);
    if (a->positional_count > most)
        return error_set(err, STATUS_USAGE, "%s: expected %zu argument%s, found also '%s'", table->command, most,
                         most == 1 ? "" : "s", text_printable(a->positional[most], shown, sizeof shown));
    return STATUS_OK;
}

static status parse(argument_list *a, int count, char *const *words, error *err)
{
    bool only_positional = false, ends = false;
    for (int i = 0, used = 1; i < count; i += used, used = 1) {
        if (!only_positional && strcmp(words[i], "--") == 0)
            only_positional = true;
        else if (!only_positional && looks_like_option(words[i]))
            TRY(take_option(a, count - i, words + i, &used, &ends, err));
        else
            a->positional[a->positional_count++] = words[i];
        if (ends) return STATUS_OK;
    }
    return check_complete(a, err);
}

status arguments_parse(const argument_table *table, int count, char *const *words, argument_list *out, error *err)
{
    size_t room = (size_t)count + 1;
    *out = (argument_list){.table = table, .given = malloc(room * sizeof *out->given),
                       .positional = malloc(room * sizeof *out->positional)};
    status result = out->given && out->positional ? parse(out, count, words, err)
                                                  : error_no_memory(err, "the arguments", room * sizeof *out->given);
    if (result != STATUS_OK) arguments_free(out);
    return result;
}

void arguments_free(argument_list *a)
{
    free(a->given);
    free(a->positional);
    *a = (argument_list){0};
}

static const argument_given *find_given(const argument_list *a, const char *name)
{
    for (size_t i = 0; i < a->given_count; i++)
        if (strcmp(a->given[i].option->name, name) == 0) return &a->given[i];
    return NULL;
}

bool arguments_has(const argument_list *a, const char *name) { return find_given(a, name) != NULL; }

const char *arguments_value(const argument_list *a, const char *name)
{
    const argument_given *given = find_given(a, name);
    return given ? given->value : NULL;
}

status arguments_values(const argument_list *a, const char *name, const char ***out, size_t *count, error *err)
{
    *out = NULL;
    *count = 0;
    if (!arguments_has(a, name)) return STATUS_OK;
    const char **values = malloc(a->given_count * sizeof *values);
    if (!values) return error_no_memory(err, "the arguments", a->given_count * sizeof *values);
    for (size_t i = 0; i < a->given_count; i++)
        if (strcmp(a->given[i].option->name, name) == 0) values[(*count)++] = a->given[i].value;
    *out = values;
    return STATUS_OK;
}

status arguments_integer(const argument_list *a, const char *name, int minimum, int maximum, int fallback, int *out,
                         error *err)
{
    *out = fallback;
    const char *value = arguments_value(a, name);
    if (!value) return STATUS_OK;
    char *end, shown[NAME_SHOWN];
    errno = 0;
    long number = strtol(value, &end, 10);
    if (errno || end == value || *end != '\0' || number < minimum || number > maximum)
        return error_set(err, STATUS_USAGE, "%s: --%s: expected a whole number from %d to %d, found '%s'",
                         a->table->command, name, minimum, maximum, text_printable(value, shown, sizeof shown));
    *out = (int)number;
    return STATUS_OK;
}

status arguments_bytes(const argument_list *a, const char *name, double minimum, double fallback, double *out,
                       error *err)
{
    static const char units[] = "KMGT";
    *out = fallback;
    const char *value = arguments_value(a, name);
    if (!value) return STATUS_OK;
    char *end, shown[NAME_SHOWN], least[32];
    double number = *value >= '0' && *value <= '9' ? strtod(value, &end) : -1;
    const char *unit = number >= 0 && *end ? strchr(units, *end) : NULL;
    if (unit) {
        for (const char *u = units; u <= unit; u++) number *= 1024;
        end++;
    }
    /* Written so that NaN is refused; all of the word must have been read. */
    if (!(number >= minimum && number <= 1e18) || *end != '\0')
        return error_set(err, STATUS_USAGE, "%s: --%s: expected a size of at least %s, like 500M or 2G, found '%s'",
                         a->table->command, name, text_bytes(minimum, least, sizeof least),
                         text_printable(value, shown, sizeof shown));
    *out = number;
    return STATUS_OK;
}

/* Adds a word of `length` bytes, on a new line when this one is full. *column: where the line stands. */
static void add_word(text *out, size_t *column, size_t indent, const char *word, size_t length)
{
    if (*column > indent && *column + 1 + length > LINE_WIDTH) {
        text_format(out, "\n%*s", (int)indent, "");
        *column = indent;
    } else if (*column > indent) {
        text_add(out, " ");
        ++*column;
    }
    text_append(out, word, length);
    *column += length;
}

static void add_words(text *out, size_t column, size_t indent, const char *words)
{
    while (*words) {
        size_t length = strcspn(words, " ");
        add_word(out, &column, indent, words, length);
        words += length;
        words += *words == ' ';
    }
    text_add(out, "\n");
}

/* "--model FILE", "[--set KEY=VALUE]..." */
static void add_usage_option(text *out, size_t *column, const argument_option *option)
{
    text word = {0};
    if (!option->required) text_add(&word, "[");
    if (option->letter)
        text_format(&word, "-%c", option->letter);
    else
        text_format(&word, "--%s", option->name);
    if (option->value) text_format(&word, " %s", option->value);
    if (!option->required) text_add(&word, "]");
    if (option->repeated) text_add(&word, "...");
    add_word(out, column, USAGE_INDENT, text_get(&word), word.length);
    text_free(&word);
}

static void add_usage(const argument_table *table, text *out)
{
    size_t begin = out->length;
    text_format(out, "usage: cyclegan %s", table->command);
    size_t column = out->length - begin;
    for (size_t i = 0; i < table->option_count; i++)
        if (table->options[i].required) add_usage_option(out, &column, &table->options[i]);
    if (table->positional) {
        text word = {0};
        text_format(&word, "%s%s%s%s", table->minimum ? "" : "[", table->positional, table->minimum ? "" : "]",
                    table->maximum > 1 ? "..." : "");
        add_word(out, &column, USAGE_INDENT, text_get(&word), word.length);
        text_free(&word);
    }
    for (size_t i = 0; i < table->option_count; i++)
        if (!table->options[i].required && !table->options[i].ends)
            add_usage_option(out, &column, &table->options[i]);
    text_add(out, "\n");
}

static void add_help_line(text *out, const char *name, const char *help)
{
    size_t column = 2 + strlen(name);
    text_format(out, "  %s", name);
    if (column + 2 > HELP_COLUMN) {
        text_add(out, "\n");
        column = 0;
    }
    text_format(out, "%*s", (int)(HELP_COLUMN - column), "");
    add_words(out, HELP_COLUMN, HELP_COLUMN, help);
}

void arguments_help(const argument_table *table, text *out)
{
    add_usage(table, out);
    text_add(out, "\n");
    add_words(out, 0, 0, table->summary);
    text_add(out, "\n");
    if (table->positional_help) add_help_line(out, table->positional, table->positional_help);
    for (size_t i = 0; i <= table->option_count; i++) {
        const argument_option *option = option_at(table, i);
        text name = {0};
        if (option->letter) text_format(&name, "-%c, ", option->letter);
        text_format(&name, "--%s", option->name);
        if (option->value) text_format(&name, " %s", option->value);
        add_help_line(out, text_get(&name), option->help);
        text_free(&name);
    }
}
