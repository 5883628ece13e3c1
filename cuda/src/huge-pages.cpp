// Weights and caches on huge pages. A decode step reads all weights once, and with pages of 4 KiB each of them costs a
// look at the page tables. Many kernels give huge pages only to those that ask (transparent_hugepage "madvise").
// ggml takes its buffers by posix_memalign; the linker puts this in between (--wrap in CMakeLists.txt).
#include <cstdint>
#include <cstdlib>
#include <sys/mman.h>

static constexpr size_t HUGE_PAGE = 2 << 20;
/* Below this the alignment would waste more than it gains. */
static constexpr size_t LARGE = 4 * HUGE_PAGE;

extern "C" {

int __real_posix_memalign(void ** out, size_t alignment, size_t size);
int __wrap_posix_memalign(void ** out, size_t alignment, size_t size);

int __wrap_posix_memalign(void ** out, size_t alignment, size_t size) {
    if (size < LARGE) {
        return __real_posix_memalign(out, alignment, size);
    }
    const int status = __real_posix_memalign(out, HUGE_PAGE, size);
    if (status == 0) {
        /* Without effect where the kernel has none; the memory is as good then. */
        (void)madvise(*out, size / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
    }
    return status;
}
}
