import CLinux

extension AppState {
    /// Removes groups that no running copy has, and the app's when there is none left. Whether that has gone.
    ///
    /// Under the app's lock: a group that was made for a copy is in its record before anybody else comes here. The
    /// kernel does not remove a group with a process in it; a later invocation finds it empty.
    func removeUnusedGroups(
        _ registry: borrowing Registry, _ groups: ControlGroups = ControlGroups()
    ) -> Bool {
        guard let place = app.group else { return false }
        // Own names only, and in the control groups only, whatever the registry says.
        guard lastComponent(of: place.path) == (try? groupName(of: registry)), groups.contain(place.path) else {
            return true
        }
        var used: [ByteString] = []
        for copy in copies where copy.state != .ended {
            if let group = copy.group, group.app == place { used.append(lastComponent(of: group.group.path)) }
        }
        do throws(Errno) {
            let app = try GroupDirectory(place, in: groups)
            for name in entryNames(of: app.directory) where isCopyGroupName(name) && !used.contains(name) {
                removeEmpty(name, in: app.directory)
            }
        } catch {
            return error == .noEntry
        }
        return used.isEmpty && remove(app: place, groups)
    }
}

/// Removes the group of a copy that was not started after all, and the app's if that was made for it.
func removeUnusedGroup(_ copy: CopyGroup?, in registry: borrowing Registry, _ groups: ControlGroups = ControlGroups()) {
    guard let copy else { return }
    if let app = try? GroupDirectory(copy.app, in: groups) {
        removeEmpty(lastComponent(of: copy.group.path), in: app.directory)
    }
    guard remove(app: copy.app, groups), var record = registry.loadApp() else { return }
    record.group = nil
    if record == AppRecord() {
        _ = reason { () throws(Errno) in try unlink("app", in: registry.folder) }
    } else {
        _ = try? registry.store(record)
    }
}

/// Whether the app's group has gone. It stays while it has others in it.
private func remove(app: MemoryGroup, _ groups: ControlGroups) -> Bool {
    let problem = reason { () throws(Errno) in
        let parent = try open("\(groups.root)\(directory(of: app.path))", O_RDONLY | O_DIRECTORY)
        try removeDirectory(lastComponent(of: app.path), in: parent)
    }
    return problem == nil || problem == .noEntry
}

/// A process that has just ended may be counted for a moment still.
private func removeEmpty(_ name: ByteString, in app: borrowing Descriptor) {
    for _ in 0..<20 {
        guard reason({ () throws(Errno) in try removeDirectory(name, in: app) }) == .busy else { return }
        let processes = try? readAll(try open("\(name)/cgroup.procs", in: app, O_RDONLY | O_NOFOLLOW), atMost: 1 << 20)
        guard let processes, processes.isEmpty else { return }
        _ = poll(nil, 0, 5)
    }
}
