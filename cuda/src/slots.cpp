// Who gets the next free slot: prepared requests wait here, by rank, and the server core is given only what it has
// slots for, so that its own queue keeps no order of its own.
#include "device.h"

#include <algorithm>

namespace nrn {

/* Further answers of one prompt begin together with it. */
static int32_t slots_of(const server_task & task) {
    return 1 + (int32_t)task.child_tasks.size();
}

void wait_for_slots(const request_ptr & request, std::vector<server_task> tasks) {
    model & owner = *request->owner;
    waiting_request entry;
    entry.owner = request;
    std::move(tasks.begin(), tasks.end(), std::back_inserter(entry.tasks));
    owner.waiting.emplace(request->rank_us, std::move(entry));
    owner.without_slot++;
}

void leave_queue(const request_ptr & request) {
    model & owner = *request->owner;
    const auto range = owner.waiting.equal_range(request->rank_us);
    for (auto it = range.first; it != range.second; ++it) {
        if (it->second.owner == request) {
            owner.without_slot -= !it->second.has_begun;
            owner.waiting.erase(it);
            return;
        }
    }
}

/*
 * In the order of rank without exception: a request that needs several slots at once would never get them if others
 * passed it. The tasks' mutex is held until they are posted, so that a cancel finds a task here or after it.
 */
static void hand_out(model & owner) {
    std::lock_guard<std::mutex> lock(owner.tasks_mutex);
    const server_context::figures & now = owner.figures;
    int32_t free = now.n_slots - now.n_prefilling - now.n_decoding - owner.handed_out;
    while (!owner.waiting.empty()) {
        const auto first = owner.waiting.begin();
        waiting_request & next = first->second;
        const int32_t needed = slots_of(next.tasks.front());
        if (needed > free) {
            return;
        }
        free -= needed;
        owner.handed_out += needed;
        owner.without_slot -= !next.has_begun;
        next.has_begun = true;
        owner.view->queue.post(std::move(next.tasks.front()));
        next.tasks.pop_front();
        if (next.tasks.empty()) {
            owner.waiting.erase(first);
        }
    }
}

void hand_out_slots(device & self) {
    for (const auto & entry : self.models) {
        /* How many are free is known again at the step's end. */
        if (entry.second->state == model_state::ready && !entry.second->in_step) {
            hand_out(*entry.second);
        }
    }
}

} // namespace nrn
