import CLinux

/// Finds the children of a process, their children, and so on. Processes whose parent has ended are not found, because
/// they are children of init then. Empty if the process has gone.
func descendants(of process: ProcessIdentity, in proc: ProcFileSystem) -> [ProcessIdentity] {
    var result: [ProcessIdentity] = []
    var rest = [process]
    while let parent = rest.popLast() {
        for pid in children(of: parent, in: proc) {
            guard let child = try? ProcessStatus(of: pid, in: proc), child.parent == parent.pid,
                !result.contains(child.identity)
            else { continue }
            result.append(child.identity)
            rest.append(child.identity)
        }
    }
    return result
}

/// Reads /proc/PID/task/TID/children of all threads, which lists the processes that the thread started. On kernels
/// without it (CONFIG_PROC_CHILDREN) looks at the parent of every process.
private func children(of process: ProcessIdentity, in proc: ProcFileSystem) -> [Int32] {
    guard let directory = try? proc.open(process),
        let tasks = try? open("task", in: directory, O_RDONLY | O_DIRECTORY),
        let threads = try? numbers(in: tasks)
    else { return [] }
    var result: [Int32] = []
    for thread in threads {
        do throws(Errno) {
            let line = try readAll(try open("\(thread)/children", in: tasks, O_RDONLY), atMost: 1 << 24)
            for word in line.split(on: UInt8(ascii: " ")) {
                if let pid = word.decimal { result.append(Int32(truncatingIfNeeded: pid)) }
            }
        } catch {
            // The thread has ended. If it is the first one, which cannot end before the others, the kernel has no such
            // file.
            if error == .noEntry, thread == process.pid {
                return ((try? proc.processes()) ?? []).filter {
                    (try? ProcessStatus(of: $0, in: proc))?.parent == process.pid
                }
            }
        }
    }
    return result
}
