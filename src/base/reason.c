/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reason.c - the names and sentences of the one list in reason.h.
 */
#include "reason.h"

static const char *const names[] = {
#define X(symbol, name, sentence) [REASON_##symbol] = (name),
	MPGATE_REASONS(X)
#undef X
};

static const char *const sentences[] = {
#define X(symbol, name, sentence) [REASON_##symbol] = (sentence),
	MPGATE_REASONS(X)
#undef X
};

_Static_assert(sizeof(names) / sizeof(names[0]) == REASON_COUNT, "one name for each reason");
_Static_assert(sizeof(sentences) / sizeof(sentences[0]) == REASON_COUNT,
	       "one sentence for each reason");

const char *reason_name(enum reason reason)
{
	return (unsigned)reason < REASON_COUNT ? names[reason] : "?";
}

const char *reason_sentence(enum reason reason)
{
	return (unsigned)reason < REASON_COUNT ? sentences[reason] : "?";
}
