import CLinux
import Foundation
import Testing

@testable import ReusePortKit

/// How a process came to its end, and what it wrote.
struct Outcome {
    let pid: pid_t
    /// As waitpid(2) gives it.
    let status: Int32
    let output: ByteString
    let errorOutput: ByteString

    /// The exit code; nil when a signal ended it.
    var exit: Int32? { status & 0x7F == 0 ? (status >> 8) & 0xFF : nil }
    var errors: String { errorOutput.text }
}

/// A process of ours, the leader of a group of its own, so that its children go with it.
final class Running {
    let pid: pid_t
    private var input: Int32
    private var output: Int32
    private var errorOutput: Int32
    private var outputBytes: [UInt8] = []
    private var errorBytes: [UInt8] = []
    private var linesTaken = 0
    private var status: Int32?

    /// posix_spawn(3) with the two outputs on pipes, and standard input on /dev/null unless it is to be a pipe too.
    /// `socket` becomes descriptor 3.
    init(
        file: String, words: [ByteString], environment: [ByteString], hasInput: Bool = false, socket: Int32? = nil
    ) throws {
        // Close-on-exec, or children of other tests would hold this one's standard input open.
        var pipes: [Int32] = [-1, -1, -1, -1, -1, -1]
        try pipes.withUnsafeMutableBufferPointer { buffer in
            for index in 0..<3 where pipe2(buffer.baseAddress! + 2 * index, O_CLOEXEC) != 0 {
                throw Unavailable(description: "no pipe")
            }
        }
        // dup2 of a descriptor onto itself would leave it close-on-exec: so it is never 3 to begin with.
        let copy = try socket.map { try checked(clinux_fcntl($0, F_DUPFD_CLOEXEC, 100)) } ?? -1
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, pipes[4], 0)
        if !hasInput { posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0) }
        if copy >= 0 { posix_spawn_file_actions_adddup2(&actions, copy, 3) }
        posix_spawn_file_actions_adddup2(&actions, pipes[1], 1)
        posix_spawn_file_actions_adddup2(&actions, pipes[3], 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        var all = sigset_t()
        var none = sigset_t()
        sigfillset(&all)
        sigemptyset(&none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
            for end in [pipes[1], pipes[3], pipes[4], copy] where end >= 0 { close(end) }
            if !hasInput { close(pipes[5]) }
        }
        var child: pid_t = 0
        let argv = CStrings(words)
        let envp = CStrings(environment)
        let result = posix_spawn(&child, file, &actions, &attributes, argv.pointer, envp.pointer)
        guard result == 0 else {
            for end in [pipes[0], pipes[2]] + (hasInput ? [pipes[5]] : []) { close(end) }
            throw Unavailable(description: "posix_spawn \(file): \(String(cString: strerror(result)))")
        }
        pid = child
        output = pipes[0]
        errorOutput = pipes[2]
        input = hasInput ? pipes[5] : -1
        _ = fcntl(output, F_SETFL, O_NONBLOCK)
        _ = fcntl(errorOutput, F_SETFL, O_NONBLOCK)
    }

    deinit {
        kill()
        for end in [output, errorOutput, input] where end >= 0 { close(end) }
    }

    /// cat(1), which ends when its standard input does. It is known to run when this returns: after posix_spawn(3),
    /// execve(2) may still have to set name and arguments.
    static func cat(_ words: [ByteString] = ["cat"], path: String? = nil, socket: Int32? = nil) throws -> Running {
        let cat = try Running(
            file: try path ?? Tool.require("cat"), words: words, environment: callersEnvironment(), hasInput: true,
            socket: socket)
        try checked(write(cat.input, "\n", 1))
        _ = try cat.line()
        return cat
    }

    /// Its standard input ends.
    func endInput() {
        if input >= 0 { close(input) }
        input = -1
    }

    /// waitpid(2) with WUNTRACED: returns when it stands still.
    func waitForStop() -> Bool {
        var status: Int32 = 0
        return waitpid(pid, &status, WUNTRACED) == pid && status & 0xFF == 0x7F
    }

    var errors: String { String(decoding: errorBytes, as: UTF8.self) }

    /// Ends the whole group at once; the leader is reaped last, so that its number cannot be another's by then.
    func kill() {
        guard status == nil else { return }
        Glibc.kill(-pid, SIGKILL)
        reap()
    }

    func signal(_ number: Int32) {
        if status == nil { Glibc.kill(pid, number) }
    }

    private func reap() {
        var result: Int32 = 0
        while waitpid(pid, &result, 0) == -1, errno == EINTR {}
        status = result
    }

    /// Takes what there is on both pipes, waiting for more until the deadline. False when both have ended.
    private func pump(_ deadline: Deadline, _ what: String) throws -> Bool {
        var wanted = [pollfd]()
        if output >= 0 { wanted.append(pollfd(fd: output, events: Int16(POLLIN), revents: 0)) }
        if errorOutput >= 0 { wanted.append(pollfd(fd: errorOutput, events: Int16(POLLIN), revents: 0)) }
        if wanted.isEmpty { return false }
        guard poll(&wanted, nfds_t(wanted.count), deadline.pollTimeout) != 0 else {
            throw TimedOut(
                what: what, seen: "\(String(decoding: outputBytes.suffix(2000), as: UTF8.self)) \(errors.suffix(2000))")
        }
        if output >= 0 { take(&output, &outputBytes) }
        if errorOutput >= 0 { take(&errorOutput, &errorBytes) }
        return true
    }

    private func take(_ fd: inout Int32, _ bytes: inout [UInt8]) {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(fd, &buffer, buffer.count)
            if count > 0 {
                bytes.append(contentsOf: buffer[..<count])
            } else if count == 0 {
                close(fd)
                fd = -1
                return
            } else {
                return
            }
        }
    }

    /// The next line on standard output, without its end; nil when there is none left.
    func line() throws -> String? {
        let deadline = Deadline(after: patience)
        while true {
            if let end = outputBytes[linesTaken...].firstIndex(of: 10) {
                defer { linesTaken = end + 1 }
                return String(decoding: outputBytes[linesTaken..<end], as: UTF8.self)
            }
            if try !pump(deadline, "a line of process \(pid)") { return nil }
        }
    }

    /// Waits until a line on either output has `part` in it.
    func waitFor(_ part: String) throws {
        let deadline = Deadline(after: patience)
        while !String(decoding: outputBytes + errorBytes, as: UTF8.self).contains(part) {
            guard try pump(deadline, part) else { throw TimedOut(what: part, seen: errors) }
        }
    }

    /// Waits until it has ended, which it should with success.
    func endWell(_ location: SourceLocation = #_sourceLocation) throws {
        let outcome = try end()
        #expect(outcome.exit == 0, "\(outcome.status): \(outcome.errors)", sourceLocation: location)
    }

    /// Waits for the end of the process and of its output.
    func end() throws -> Outcome {
        let deadline = Deadline(after: patience)
        while try pump(deadline, "the end of process \(pid)") {}
        if status == nil {
            // Both pipes have ended, so it is about to exit, or a daemon that closed them: a pidfd tells.
            let descriptor = Int32(clinuxPidfdOpen(pid))
            defer { if descriptor >= 0 { close(descriptor) } }
            var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            if poll(&wanted, 1, deadline.pollTimeout) == 0 {
                throw TimedOut(what: "the end of process \(pid)", seen: errors)
            }
            // What it may have left in its group goes before its number can become another's.
            Glibc.kill(-pid, SIGKILL)
            reap()
        }
        return Outcome(
            pid: pid, status: status ?? 0, output: ByteString(outputBytes), errorOutput: ByteString(errorBytes))
    }
}
