/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config_scan.c - looks through the configuration's text for what libconfuse does not tell: the
 * line on which a section begins (it keeps the last one), and what is opened and never closed (a
 * section cut off by the end of the file is dropped by it without a word).
 */
#include "app/config_keys.h"

struct scan {
	const char *text;
	int line;
	int depth;
	int open_line;        /* of the outermost brace that is open */
	const char *unclosed; /* a string or comment that runs to the end of the text */
	int unclosed_line;
};

/* Steps over a comment or a quoted string; false when none begins here. */
static bool skip_opaque(struct scan *s)
{
	const char *from = s->text, *end;
	bool closed = true;

	if (*from == '#' || (from[0] == '/' && from[1] == '/')) {
		end = from + strcspn(from, "\n");
	} else if (from[0] == '/' && from[1] == '*') {
		end = strstr(from + 2, "*/");
		closed = end != NULL;
		end = closed ? end + 2 : from + strlen(from);
	} else if (*from == '"' || *from == '\'') {
		for (end = from + 1; *end && *end != *from; end++)
			if (*end == '\\' && end[1])
				end++;
		closed = *end != '\0';
		end += closed;
	} else {
		return false;
	}
	if (!closed) {
		s->unclosed = *from == '/' ? "comment" : "string";
		s->unclosed_line = s->line;
	}
	for (; from < end; from++)
		s->line += *from == '\n';
	s->text = end;
	return true;
}

/* Takes the next word or single character; its length, 0 at the end. */
static size_t token_next(struct scan *s, const char **token)
{
	size_t n;

	while (skip_opaque(s))
		;
	*token = s->text;
	if (!*s->text)
		return 0;
	n = strcspn(s->text, " \t\r\n={}\"'#,()/");
	if (n == 0) {
		n = 1;
		s->line += *s->text == '\n';
		if (*s->text == '{' && s->depth++ == 0)
			s->open_line = s->line;
		s->depth -= *s->text == '}';
	}
	s->text += n;
	return n;
}

int config_section_line(const char *text, const char *name, unsigned n)
{
	struct scan s = {.text = text, .line = 1};
	const char *token;
	size_t bytes;

	while ((bytes = token_next(&s, &token)) > 0)
		if (s.depth == 0 && bytes == strlen(name) && memcmp(token, name, bytes) == 0 &&
		    n-- == 0)
			return s.line;
	return 0;
}

int config_unclosed_line(const char *text, const char **what)
{
	struct scan s = {.text = text, .line = 1};
	const char *token;

	while (token_next(&s, &token) > 0)
		;
	*what = s.unclosed ? s.unclosed : "section";
	return s.unclosed ? s.unclosed_line : s.depth > 0 ? s.open_line : 0;
}
