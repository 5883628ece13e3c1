#include "pace.h"

#include <algorithm>

namespace nrn {

/* Length of a step that reads prompts while nobody decodes: what a short prompt that comes then has
 * to wait for. */
static constexpr double STEP_SECONDS_ALONE = 0.4;
/* Pieces while nobody decodes are never shorter: above it longer pieces are no faster on a CPU, and
 * an accelerator's batch is full before STEP_SECONDS_ALONE are over. */
static constexpr int32_t PROMPT_CAP_ALONE = 64;
/* Of the bound on a stream's gap, the part that prompts may take; the rest is for the streams' own
 * tokens and for pieces that take longer than foreseen. */
static constexpr double PROMPT_PART = 0.8;
/* Long pieces are multiples of it: matrix products go by whole tiles. */
static constexpr int32_t PROMPT_CAP_STEP = 32;
/* A piece costs a pass over the weights, however short it is. */
static constexpr int32_t PROMPT_CAP_MIN = 8;
/* The first piece measures the speed. */
static constexpr int32_t PROMPT_CAP_FIRST = 32;
static constexpr double PROMPT_CAP_MAX = 1e6;
/* Speed falls with the depth of the prompt, so bad news counts at once and good news slowly. */
static constexpr double SLOWER_WEIGHT = 0.5;
static constexpr double FASTER_WEIGHT = 0.2;

static bool decodes(const device & self) {
    for (const auto & entry : self.models) {
        const model & each = *entry.second;
        if (each.state == model_state::ready && each.figures.n_decoding > 0) {
            return true;
        }
    }
    return false;
}

/* Models that read prompts; a stream may have to wait for a step of each. */
static int32_t count_readers(const device & self, const model & current) {
    int32_t count = 1;
    for (const auto & entry : self.models) {
        const model & each = *entry.second;
        count += each.state == model_state::ready && &each != &current &&
                 each.figures.n_prefilling > 0;
    }
    return count;
}

static double prompt_seconds(const device & self, const model & current) {
    const double shared = self.step_seconds * PROMPT_PART / count_readers(self, current);
    return decodes(self) ? shared : std::max(shared, STEP_SECONDS_ALONE);
}

int32_t plan_prompt_cap(const device & self, const model & current) {
    if (current.params.embedding) {
        return 0; /* such a prompt cannot be split */
    }
    const double rate = current.speed.prefill_per_second;
    if (rate <= 0) {
        return PROMPT_CAP_FIRST;
    }
    const double tokens = rate * prompt_seconds(self, current) - current.figures.n_decoding;
    const int32_t cap = (int32_t)std::min(tokens, PROMPT_CAP_MAX);
    const int32_t least = decodes(self) ? PROMPT_CAP_MIN : PROMPT_CAP_ALONE;
    return std::max(cap < 2 * PROMPT_CAP_STEP ? cap : cap / PROMPT_CAP_STEP * PROMPT_CAP_STEP, least);
}

static void smooth(double & value, double sample, double weight) {
    value = value <= 0 ? sample : value + weight * (sample - value);
}

void learn_pace(model & current, const server_context::figures & before, double seconds) {
    const double prompt = (double)(current.figures.n_prompt - before.n_prompt);
    const double generated = (double)(current.figures.n_generated - before.n_generated);
    pace & speed = current.speed;
    if (prompt >= PROMPT_CAP_MIN) {
        const double sample = (prompt + generated) / seconds;
        smooth(speed.prefill_per_second, sample,
            sample < speed.prefill_per_second ? SLOWER_WEIGHT : FASTER_WEIGHT);
    } else if (prompt == 0 && generated > 0) {
        smooth(speed.decode_per_second, generated / seconds, FASTER_WEIGHT);
    }
    speed.virtual_time += seconds / current.weight;
    current.steps++;
    std::lock_guard<std::mutex> lock(current.shown_mutex);
    current.shown = current.figures;
    current.shown_speed = current.speed;
    current.shown_steps = current.steps;
}

/* Streams that would wait beyond the bound if prompts of another model were read first. */
static model_ptr find_overdue(const device & self, const model_ptr & next) {
    if (next->figures.n_decoding > 0 && next->figures.n_prefilling == 0) {
        return nullptr; /* such a step is short */
    }
    const int64_t now = ggml_time_us();
    const double step_us = prompt_seconds(self, *next) * 1e6;
    model_ptr overdue;
    for (const auto & entry : self.models) {
        const model_ptr & each = entry.second;
        if (each == next || each->state != model_state::ready || each->figures.n_decoding == 0 ||
            (double)(now - each->stepped_us) + step_us < self.step_seconds * 1e6) {
            continue;
        }
        if (!overdue || each->stepped_us < overdue->stepped_us) {
            overdue = each;
        }
    }
    return overdue;
}

model_ptr pick_model(device & self) {
    model_ptr best;
    size_t busy = 0;
    for (const auto & entry : self.models) {
        const model_ptr & current = entry.second;
        if (current->state != model_state::ready || !current->view->queue.has_tasks()) {
            continue;
        }
        busy++;
        if (current->figures.n_decoding == 0 && current->figures.n_prefilling == 0) {
            /* A model that was idle must not catch up on time that nobody asked for. */
            current->speed.virtual_time = std::max(current->speed.virtual_time, self.virtual_now);
        }
        if (!best || current->speed.virtual_time < best->speed.virtual_time) {
            best = current;
        }
    }
    if (!best) {
        return best;
    }
    self.virtual_now = std::max(self.virtual_now, best->speed.virtual_time);
    if (busy > 1) {
        if (const model_ptr overdue = find_overdue(self, best)) {
            return overdue;
        }
    }
    return best;
}

} // namespace nrn
