// The fault boundary: an abort inside ggml on one of our threads becomes an exception that ends one
// model, not the process.
#pragma once

#include <csetjmp>
#include <string>
#include <utility>

namespace nrn {

/*
 * Thrown by ggml's abort callback. Not derived from std::exception on purpose: llama.cpp catches
 * those and goes on with a context that can no longer be trusted.
 */
struct ggml_fault {
    std::string text;
};

/* Replaces ggml's abort by a throw on threads that are inside run_guarded. Helper threads of ggml's
 * pool still abort. */
void install_abort_callback();

/* While one lives on a thread, an abort there throws; without one it ends the process. */
class abort_guard {
  public:
    abort_guard();
    ~abort_guard();
};

/* Runs body; false with the cause when ggml aborted in it. Other exceptions pass through. */
template <typename F> bool run_guarded(F && body, std::string & cause) {
    abort_guard guard;
    try {
        std::forward<F>(body)();
        return true;
    } catch (const ggml_fault & fault) {
        cause = fault.text;
        return false;
    }
}

/*
 * The same for bodies that abort inside destructors, which no exception may leave: the abort jumps
 * out of them and what they held is leaked, which is what happens to a poisoned model anyway.
 */
bool run_guarded_destructor(void (*body)(void * argument), void * argument, std::string & cause);

} // namespace nrn
