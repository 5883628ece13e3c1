// How much of the device's time each step takes, and whose step is next. Device thread only.
#pragma once

#include "device.h"

namespace nrn {

/* The model with work that has used the least of its share, unless streams of another would wait
 * too long for it. Where models step beside each other, one for which there are cores now. */
model_ptr pick_model(device & self);

/* Threads for the model's next step: those that it was loaded with, or its part of the cores that all models with work
 * share. */
int32_t threads_of(const device & self, const model & current);

/* Prompt tokens for the model's next step, so that it takes about as long as somebody is willing to
 * wait. */
int32_t plan_prompt_cap(const device & self, const model & current);

/* Takes in what a step did and how long it took. */
void learn_pace(const model_step & step);

} // namespace nrn
