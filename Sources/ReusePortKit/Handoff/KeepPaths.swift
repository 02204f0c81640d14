import CLinux

extension Coordinator {
    /// Puts back public paths of Unix sockets that old copies remove.
    ///
    /// A program that has the path in its own configuration may remove it when it ends, when it is already the path of
    /// its successor. If the old copies have the right to do that, a process of ours watches the paths until they have
    /// ended.
    func keepPaths(from old: [CopyRecord], _ state: AppState) {
        let paths = state.pathsAtRisk(old, successors: state.running(generation.id))
        guard !paths.isEmpty, let runDirectory = try? runDirectory(of: request), case .helper? = try? forkHelper()
        else { return }
        // The process keeps no descriptor of the caller's and no listener, and ends at a signal.
        useNull(at: [0, 1, 2])
        closeAllAbove2(but: [])
        _ = clinux_leave_working_directory()
        var none = sigset_t()
        sigemptyset(&none)
        sigprocmask(SIG_SETMASK, &none, nil)
        report(.keepingPaths)
        _ = try? keepPaths(paths, from: old, runDirectory)
        _exit(0)
    }

    private func keepPaths(
        _ paths: [ByteString], from old: [CopyRecord], _ runDirectory: ByteString
    ) throws(Failure) {
        guard let registry = try Registry.open(request.name, in: runDirectory, create: false) else { return }
        let changes = try step("watch", paths[0]) { () throws(Errno) in
            try FileWatch(in: paths.map { directory(of: $0) }, IN_DELETE | IN_MOVED_FROM)
        }
        for copy in old {
            guard let process = try? ProcessHandle(to: copy.process) else { continue }
            while true {
                let hasExited = process.hasExited
                // Other files may come and go there all the time. If there is no lock, the registry was removed.
                if hasExited || paths.contains(where: { !exists($0) }),
                    let lock = try? registry.lock(until: Deadline(after: .seconds(60)))
                {
                    AppState.reconciled(registry).reconcilePaths()
                    lock.release(closing: ())
                    // A program that removes paths again and again must not keep us busy.
                    _ = poll(nil, 0, 10)
                }
                if hasExited { break }
                changes.wait(or: process, until: Deadline(after: .seconds(3600)))
            }
        }
    }
}
