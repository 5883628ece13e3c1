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
static constexpr double PROMPT_PART = 0.65;
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

/* Whether every model with work has cores of its own, so that no stream waits for another model's step. */
static bool steps_apart(const device & self) {
    return self.busy_models <= self.cores;
}

/* Whether a stream waits for the model's step. */
static bool decodes(const device & self, const model & current) {
    if (steps_apart(self)) {
        return current.figures.n_decoding > 0;
    }
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
    if (steps_apart(self)) {
        return 1;
    }
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
    return decodes(self, current) ? shared : std::max(shared, STEP_SECONDS_ALONE);
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
    const int32_t least = decodes(self, current) ? PROMPT_CAP_MIN : PROMPT_CAP_ALONE;
    return std::max(cap < 2 * PROMPT_CAP_STEP ? cap : cap / PROMPT_CAP_STEP * PROMPT_CAP_STEP, least);
}

static void smooth(double & value, double sample, double weight) {
    value = value <= 0 ? sample : value + weight * (sample - value);
}

void learn_pace(const model_step & step) {
    model & current = *step.target;
    const double seconds = std::max(1e-6, (double)(step.end_us - step.start_us) / 1e6);
    const double prompt = (double)(current.figures.n_prompt - step.before.n_prompt);
    const double generated = (double)(current.figures.n_generated - step.before.n_generated);
    pace & speed = current.speed;
    if (prompt >= PROMPT_CAP_MIN) {
        const double sample = (prompt + generated) / seconds;
        smooth(speed.prefill_per_second, sample,
            sample < speed.prefill_per_second ? SLOWER_WEIGHT : FASTER_WEIGHT);
    } else if (prompt == 0 && generated > 0) {
        smooth(speed.decode_per_second, generated / seconds, FASTER_WEIGHT);
    }
    speed.virtual_time += seconds * step.threads / current.weight;
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
        if (each == next || each->in_step || each->state != model_state::ready ||
            each->figures.n_decoding == 0 ||
            (double)(now - each->stepped_us) + step_us < self.step_seconds * 1e6) {
            continue;
        }
        if (!overdue || each->stepped_us < overdue->stepped_us) {
            overdue = each;
        }
    }
    return overdue;
}

int32_t threads_of(const device & self, const model & current) {
    const int32_t wanted =
        std::max(current.params.cpuparams.n_threads, current.params.cpuparams_batch.n_threads);
    if (self.cores == 0 || self.busy_models <= 1) {
        return wanted;
    }
    return std::min(wanted, std::max(1, self.cores / self.busy_models));
}

static bool has_cores(const device & self, const model & current) {
    int32_t used = 0;
    for (const step_ptr & step : self.steps_away) {
        used += step->threads;
    }
    return used == 0 || used + threads_of(self, current) <= self.cores;
}

/*
 * Whether a model may step beside those that step now. A lighter one waits until it is behind them, since with cores
 * to spare its share would be as large as theirs; its streams do not wait beyond the bound for it.
 */
static bool may_step_beside(const device & self, const model & current) {
    const int64_t now = ggml_time_us();
    const model & own = current;
    if (own.figures.n_decoding > 0 && (double)(now - own.stepped_us) > self.step_seconds * 1e6) {
        return true;
    }
    for (const step_ptr & step : self.steps_away) {
        const model & other = *step->target;
        const double used = (double)(now - step->start_us) / 1e6 * step->threads / other.weight;
        if (own.weight < other.weight &&
            own.speed.virtual_time > other.speed.virtual_time + used) {
            return false;
        }
    }
    return true;
}

/* Of the models that have work and do not step now, the one that used the least of its share. */
static model_ptr find_next(device & self) {
    std::vector<model_ptr> waiting;
    self.busy_models = 0;
    for (const auto & entry : self.models) {
        const model_ptr & current = entry.second;
        if (current->in_step) {
            self.busy_models++;
            continue;
        }
        if (current->state != model_state::ready || !current->view->queue.has_tasks()) {
            continue;
        }
        self.busy_models++;
        if (current->figures.n_decoding == 0 && current->figures.n_prefilling == 0) {
            /* A model that was idle must not catch up on time that nobody asked for. */
            current->speed.virtual_time = std::max(current->speed.virtual_time, self.virtual_now);
        }
        waiting.push_back(current);
    }
    model_ptr best;
    for (const model_ptr & current : waiting) {
        if ((!best || current->speed.virtual_time < best->speed.virtual_time) &&
            has_cores(self, *current) && may_step_beside(self, *current)) {
            best = current;
        }
    }
    return best;
}

model_ptr pick_model(device & self) {
    const model_ptr best = find_next(self);
    if (!best) {
        return best;
    }
    self.virtual_now = std::max(self.virtual_now, best->speed.virtual_time);
    if (self.busy_models > 1 && !steps_apart(self)) {
        if (const model_ptr overdue = find_overdue(self, best)) {
            return has_cores(self, *overdue) ? overdue : nullptr;
        }
    }
    return best;
}

} // namespace nrn
