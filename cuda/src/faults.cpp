#include "faults.h"

#include "events.h"

#include "ggml.h"

namespace nrn {

static thread_local int t_guards = 0;
static thread_local sigjmp_buf * t_jump = nullptr;
static thread_local std::string t_cause;

static void on_abort(const char * message) {
    if (t_jump) {
        t_cause = message;
        siglongjmp(*t_jump, 1);
    }
    if (t_guards > 0) {
        throw ggml_fault{ message };
    }
    /* Returning lets ggml abort the process: nobody on this thread can catch. */
    fprintf(stderr, "cortex: fatal: %s\n", message);
}

void install_abort_callback() {
    ggml_set_abort_callback(on_abort);
}

abort_guard::abort_guard() {
    t_guards++;
}
abort_guard::~abort_guard() {
    t_guards--;
}

bool run_guarded_destructor(void (*body)(void * argument), void * argument, std::string & cause) {
    sigjmp_buf jump;
    if (sigsetjmp(jump, 0) != 0) {
        t_jump = nullptr;
        cause = t_cause;
        return false;
    }
    t_jump = &jump;
    body(argument);
    t_jump = nullptr;
    return true;
}

} // namespace nrn
