// The one stream of events of the process: a bounded byte ring with a doorbell pipe, and the log
// that ends in it.
#pragma once

#include "failure.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

namespace nrn {

class event_ring {
  public:
    static event_ring & get();

    /* Opens the doorbell pipe once and sets the bound. */
    void open(size_t bytes_max);
    int doorbell() const { return pipe_read; }

    /* Never blocks and never drops: for the few events that end a request or report a state. */
    void push(uint32_t kind, uint64_t request, int32_t status, const std::string & payload);

    /* Blocks while the ring is full, until there is room or give_up turns true; for streamed
     * chunks. */
    void wait_for_room(const std::atomic<bool> & give_up);
    bool is_full();

    /* Drops the text when the log's share of the ring is used up; the next one says how many were
     * lost. */
    void push_log(const char * level, const std::string & text, const std::string & device,
        const std::string & model);

    int32_t drain(uint8_t * out, uint32_t capacity, uint32_t * written);

  private:
    void append(uint32_t kind, uint64_t request, int32_t status, const char * payload,
        size_t payload_length);
    void ring_doorbell();

    std::mutex mutex;
    std::condition_variable room;
    std::vector<uint8_t> bytes;
    size_t head = 0;
    size_t bytes_max = 64u << 20;
    size_t log_bytes = 0; /* of log events since the ring was last empty */
    uint64_t logs_dropped = 0;
    int pipe_read = -1;
    int pipe_write = -1;
};

/* Names the device and model in log lines of this thread while it lives. */
class log_scope {
  public:
    log_scope(const std::string & device, const std::string & model);
    ~log_scope();

  private:
    const std::string * previous_device;
    const std::string * previous_model;
};

/* Collects the errors that this thread logs while it lives: the reasons of a failed load or
 * grammar. */
class log_capture {
  public:
    explicit log_capture(
        bool quiet = false); /* quiet: the lines go nowhere else, for text of a client's */
    ~log_capture();
    const bool quiet;
    std::string text; /* lines joined by "; ", at most 2 KiB */
};

enum class log_level { debug, info, warn, error };

void set_log_level(log_level level);
void log_line(log_level level, const std::string & text);

/* Routes the logs of llama.cpp, ggml and mtmd into the ring. */
void install_log_sinks();

} // namespace nrn
