#include "device.h"

#include <csignal>
#include <cstring>

namespace nrn {

/* Deep templates and grammars recurse on these; untouched pages cost nothing. */
static constexpr size_t HELPER_STACK_BYTES = 64u << 20;

struct helper {
    std::string name;
    std::function<void()> body;
};

static void * run_helper(void * argument) {
    const std::unique_ptr<helper> own(static_cast<helper *>(argument));
    pthread_setname_np(pthread_self(), own->name.c_str());
    own->body();
    return nullptr;
}

/* Helper threads must not run the host's signal handlers: Bun's expect their own threads. */
pthread_t start_helper(const char * name, std::function<void()> body) {
    sigset_t all;
    sigset_t previous;
    sigfillset(&all);
    for (int fatal : { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT }) {
        sigdelset(&all, fatal);
    }
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, HELPER_STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &previous);
    auto own = std::make_unique<helper>(helper{ name, std::move(body) });
    pthread_t thread;
    const int error = pthread_create(&thread, &attributes, run_helper, own.get());
    pthread_sigmask(SIG_SETMASK, &previous, nullptr);
    pthread_attr_destroy(&attributes);
    if (error != 0) {
        throw failure(NRN_E_INTERNAL, std::string("Cannot start a thread: ") + strerror(error));
    }
    own.release();
    return thread;
}

} // namespace nrn
