#include "events.h"

#include "ggml.h"
#include "llama.h"
#include "log.h"
#include "mtmd-helper.h"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace nrn {

/* Logs may hold this much of an undrained ring, so that a flood of them cannot crowd out results.
 */
static constexpr size_t LOG_BYTES_MAX = 1u << 20;
/* A drained buffer larger than this is given back. */
static constexpr size_t KEEP_BYTES_MAX = 4u << 20;

event_ring & event_ring::get() {
    static event_ring * ring =
        new event_ring(); /* never destroyed: threads may log while the process ends */
    return *ring;
}

void event_ring::open(size_t max) {
    std::lock_guard<std::mutex> lock(mutex);
    bytes_max = max;
    if (pipe_read >= 0) {
        return;
    }
    int fds[2];
    if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) != 0) {
        throw failure(
            NRN_E_INTERNAL, std::string("Cannot create the doorbell pipe: ") + strerror(errno));
    }
    pipe_read = fds[0];
    pipe_write = fds[1];
}

void event_ring::ring_doorbell() {
    const char byte = 1;
    /* A full pipe already holds a byte that wakes the reader, so a failed write loses nothing. */
    ssize_t done = write(pipe_write, &byte, 1);
    (void)done;
}

void event_ring::append(
    uint32_t kind, uint64_t request, int32_t status, const char * payload, size_t payload_length) {
    const bool was_empty = head == bytes.size();
    const size_t length = (sizeof(nrn_event) + payload_length + 7) & ~(size_t)7;
    const size_t start = bytes.size();
    bytes.resize(start + length);
    const nrn_event header = { (uint32_t)length, kind, request, status, (uint32_t)payload_length };
    memcpy(bytes.data() + start, &header, sizeof(header));
    memcpy(bytes.data() + start + sizeof(header), payload, payload_length);
    if (was_empty) {
        ring_doorbell();
    }
}

void event_ring::push(
    uint32_t kind, uint64_t request, int32_t status, const std::string & payload) {
    std::lock_guard<std::mutex> lock(mutex);
    append(kind, request, status, payload.data(), payload.size());
}

bool event_ring::is_full() {
    std::lock_guard<std::mutex> lock(mutex);
    return bytes.size() - head >= bytes_max;
}

void event_ring::wait_for_room(const std::atomic<bool> & give_up) {
    std::unique_lock<std::mutex> lock(mutex);
    while (bytes.size() - head >= bytes_max && !give_up) {
        room.wait_for(lock, std::chrono::milliseconds(50));
    }
}

void event_ring::push_log(const char * level, const std::string & text, const std::string & device,
    const std::string & model) {
    std::string payload = "{\"level\":\"";
    payload += level;
    payload += "\",\"text\":";
    append_json_string(payload, text);
    if (!device.empty()) {
        payload += ",\"device\":";
        append_json_string(payload, device);
    }
    if (!model.empty()) {
        payload += ",\"model\":";
        append_json_string(payload, model);
    }
    std::lock_guard<std::mutex> lock(mutex);
    if (pipe_write < 0 || log_bytes + payload.size() > LOG_BYTES_MAX) {
        logs_dropped++;
        return;
    }
    if (logs_dropped > 0) {
        payload += ",\"dropped\":" + std::to_string(logs_dropped);
        logs_dropped = 0;
    }
    payload += '}';
    log_bytes += payload.size();
    append(NRN_EVENT_LOG, 0, NRN_OK, payload.data(), payload.size());
}

int32_t event_ring::drain(uint8_t * out, uint32_t capacity, uint32_t * written) {
    std::lock_guard<std::mutex> lock(mutex);
    size_t end = head;
    while (end < bytes.size()) {
        uint32_t length;
        memcpy(&length, bytes.data() + end, sizeof(length));
        if (end + length - head > capacity) {
            break;
        }
        end += length;
    }
    if (end == head && head < bytes.size()) {
        memcpy(written, bytes.data() + head, sizeof(*written));
        return NRN_E_BUFFER;
    }
    memcpy(out, bytes.data() + head, end - head);
    *written = (uint32_t)(end - head);
    head = end;
    if (head == bytes.size()) {
        bytes.clear();
        head = 0;
        log_bytes = 0;
        if (bytes.capacity() > KEEP_BYTES_MAX) {
            bytes.shrink_to_fit();
        }
    } else if (head > bytes.size() / 2) {
        bytes.erase(bytes.begin(), bytes.begin() + head);
        head = 0;
    }
    room.notify_all();
    return NRN_OK;
}

// ---- logging ----

static std::atomic<int> g_level{ (int)log_level::warn };
static thread_local const std::string * t_device = nullptr;
static thread_local const std::string * t_model = nullptr;
static thread_local log_capture * t_capture = nullptr;

log_scope::log_scope(const std::string & device, const std::string & model)
    : previous_device(t_device), previous_model(t_model) {
    t_device = &device;
    t_model = &model;
}

log_scope::~log_scope() {
    t_device = previous_device;
    t_model = previous_model;
}

log_capture::log_capture(bool quiet) : quiet(quiet) {
    t_capture = this;
}
log_capture::~log_capture() {
    t_capture = nullptr;
}

void set_log_level(log_level level) {
    g_level = (int)level;
    const int verbosity = level == log_level::debug  ? LOG_LEVEL_DEBUG
                          : level == log_level::info ? LOG_LEVEL_INFO
                          : level == log_level::warn ? LOG_LEVEL_WARN
                                                     : LOG_LEVEL_ERROR;
    common_log_set_verbosity_thold(
        std::max(verbosity, LOG_LEVEL_WARN)); /* warnings are captured as load reasons */
}

void log_line(log_level level, const std::string & text) {
    static const char * names[] = { "debug", "info", "warn", "error" };
    if (t_capture && level == log_level::error && t_capture->text.size() < 2048) {
        t_capture->text += (t_capture->text.empty() ? "" : "; ") + text.substr(0, 512);
    }
    if (t_capture && t_capture->quiet) {
        return;
    }
    if ((int)level >= g_level) {
        static const std::string none;
        event_ring::get().push_log(
            names[(int)level], text, t_device ? *t_device : none, t_model ? *t_model : none);
    }
}

/* Messages arrive in pieces; a line is complete at its newline. */
static void on_log(ggml_log_level level, const char * text) {
    static thread_local std::string line;
    static thread_local log_level line_level = log_level::info;
    if (level != GGML_LOG_LEVEL_CONT) {
        line_level = level == GGML_LOG_LEVEL_ERROR   ? log_level::error
                     : level == GGML_LOG_LEVEL_WARN  ? log_level::warn
                     : level == GGML_LOG_LEVEL_DEBUG ? log_level::debug
                                                     : log_level::info;
        if (line_level == log_level::warn && strncmp(text, "slot ", 5) == 0) {
            line_level =
                log_level::info; /* per request remarks, such as a prompt that is cached wholly */
        }
    }
    if ((int)line_level < g_level && line_level != log_level::error) {
        return;
    }
    line += text;
    if (line.size() < 4096 && (line.empty() || line.back() != '\n')) {
        return;
    }
    while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) {
        line.pop_back();
    }
    if (!line.empty()) {
        log_line(line_level, line);
    }
    line.clear();
}

void install_log_sinks() {
    const auto callback = [](ggml_log_level level, const char * text, void *) {
        on_log(level, text);
    };
    common_log_set_sink(on_log);
    common_log_pause(common_log_main()); /* its printing thread has nothing to do */
    llama_log_set(callback, nullptr);
    ggml_log_set(callback, nullptr);
    mtmd_helper_log_set(callback, nullptr);
}

} // namespace nrn
