import CLinux

/// The children of a process, their children, and so on, as far as they are not those of others by now: what is left
/// by a parent that has ended belongs to init. Empty if it has gone.
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

/// /proc/PID/task/TID/children of all threads: each names those it has started. Where the kernel does not have it
/// (CONFIG_PROC_CHILDREN), everybody is asked for the parent.
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
            // The thread has ended, or the file does not exist for any.
            if error == .noEntry, threads.contains(process.pid), thread == process.pid {
                return ((try? proc.processes()) ?? []).filter {
                    (try? ProcessStatus(of: $0, in: proc))?.parent == process.pid
                }
            }
        }
    }
    return result
}
