import Testing

@testable import ReusePortKit

/// What the library looks for in others, it has found before the program begins.
@Suite struct AdoptLoadingTests {
    let box = Sandbox()

    /// What dlopen(3) has to say is still there after the first call of anything else.
    @Test func errors() throws {
        let output = try box.adopting(
            ["web:127.0.0.1:80"],
            """
            libc.dlopen.restype, libc.dlerror.restype = ctypes.c_void_p, ctypes.c_char_p
            path = b'/nothing/here'
            calls = {
                'unlink': (path,), 'unlinkat': (-1, b'', 0), 'remove': (path,), 'chmod': (path, 0),
                'lchown': (path, 0, 0), 'listen': (-1, 0), 'bind': (-1, None, 0), 'accept4': (-1, None, None, 0),
                'getpeername': (-1, None, None), 'dup3': (-1, -2, 0), 'close': (-1,), 'syscall': (3, -1),
            }
            for name, arguments in calls.items():
                call = libc[name]
                assert libc.dlopen(path, 2) is None and call(*arguments) == -1
                print(path in (libc.dlerror() or b''), end=' ')
            """)
        #expect(output == String(repeating: "True ", count: 12))
    }

    /// A library that is being loaded may wait for a thread that calls anything for the first time.
    @Test func threads() throws {
        let plugin = try box.library(
            "plugin",
            """
            #include <pthread.h>
            #include <unistd.h>
            static void *run(void *nothing) { return unlink("/nothing/here"), nothing; }
            __attribute__((constructor)) static void begin(void) {
                pthread_t thread;
                pthread_create(&thread, 0, run, 0);
                pthread_join(thread, 0);
            }
            """)
        let output = try box.adopting(
            ["web:127.0.0.1:80"],
            """
            signal.alarm(20)
            ctypes.CDLL('\(plugin)')
            print('loaded')
            """)
        #expect(output == "loaded\n")
    }

    /// Libraries that the program is linked with begin before ours; memory allocators are such.
    @Test func early() throws {
        let early = try box.library(
            "early",
            """
            #define _GNU_SOURCE
            #include <errno.h>
            #include <fcntl.h>
            #include <string.h>
            #include <sys/mman.h>
            #include <sys/syscall.h>
            #include <unistd.h>
            int early;
            __attribute__((constructor)) static void begin(void) {
                char first[16] = "", *mapped;
                int fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/exe", O_RDONLY, 0);
                mapped = (char *)syscall(SYS_mmap, 0L, 4096L, PROT_READ, MAP_PRIVATE, fd, 65536L);
                early = pread(fd, first, sizeof first, 65536) == sizeof first && !memcmp(mapped, first, sizeof first);
                early = early && syscall(SYS_close, fd) == 0 && syscall(SYS_close, fd) == -1 && errno == EBADF;
                errno = 0;
                early = early && close(fd) == -1 && errno == EBADF;
            }
            """)
        // Among preloaded libraries, the last begins first.
        let output = try box.adopting(
            ["web:127.0.0.1:80"], "print(ctypes.c_int.in_dll(ctypes.CDLL('\(early)'), 'early').value)", preload: early)
        #expect(output == "1\n")
    }
}
