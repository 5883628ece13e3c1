// What a client sees of an answer: stream chunks as tokens come, or one whole answer in the end.
#pragma once

#include "model.h"

namespace nrn {

/* Tokens of a request, all its answers together. */
struct totals {
    int64_t prompt = 0;
    int64_t cached = 0;
    int64_t completion = 0;
    int64_t reasoning = 0; /* of the completion's */
};

totals count_tokens(const request & request);
json usage_json(const totals & sum);

/* Chunk text up to the delta, made once per choice. */
std::string chunk_head(const request & request, size_t index);

/*
 * The functions below are for the result thread, which holds the request's mutex.
 */

/* A piece of an answer. True when a stop string was hit: the answer is complete, and its task must
 * be ended. */
bool take_partial(request & request, choice & answer, server_task_result_cmpl_partial & result);

/* The end of an answer by itself. */
void take_final(request & request, choice & answer, server_task_result_cmpl_final & result);

/* The chunk that only carries usage, after the last choice is done. */
void push_usage(const request & request, const totals & sum);

/* All choices in one body, with the figures of neuron.h as `cortex`. */
json whole_answer(request & request, const totals & sum);

/* The figures of neuron.h. */
json cortex_json(const request & request, const totals & sum);

} // namespace nrn
