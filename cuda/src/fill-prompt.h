// Text that is filled in between two others.
#pragma once

#include "model.h"

namespace nrn {

/* Puts prompt and suffix of a text completion together. Throws failure for a model that was not
 * trained for it. */
void join_suffix(const model & owner, json & body);

} // namespace nrn
