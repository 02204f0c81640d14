import CLinux

extension AppState {
    /// Removes the groups of copies that have ended, and the app's if none is left. Returns whether that has gone.
    /// Commands in other places have made groups there, which the records of their copies name.
    ///
    /// The caller holds the app's lock, under which the group of a new copy is recorded. The kernel does not remove a
    /// group with a process in it; a later invocation does, when it is empty.
    func removeUnusedGroups(
        _ registry: Registry, _ groups: ControlGroups = ControlGroups()
    ) -> Bool {
        guard let newest = app.group else { return false }
        var places = [newest]
        for copy in copies {
            if let place = copy.group?.app, !places.contains(place) { places.append(place) }
        }
        let haveGone = places.map { removeUnusedGroups(of: $0, registry, groups) }
        return haveGone[0]
    }

    private func removeUnusedGroups(
        of place: ControlGroup, _ registry: Registry, _ groups: ControlGroups
    ) -> Bool {
        // A damaged registry must not have anything else removed.
        guard lastComponent(of: place.path) == (try? groupName(of: registry)), groups.contain(place.path) else {
            return true
        }
        let used = copies.filter { $0.state != .ended && $0.group?.app == place }.compactMap { copy in
            copy.group.map { lastComponent(of: $0.group.path) }
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

/// Removes the group of a copy that was not started, and the app's if that was made for it.
@inline(never)
func removeUnusedGroup(_ copy: CopyGroup?, in registry: Registry, _ groups: ControlGroups = ControlGroups()) {
    guard let copy else { return }
    if let app = try? GroupDirectory(copy.app, in: groups) {
        removeEmpty(lastComponent(of: copy.group.path), in: app.directory)
    }
    guard remove(app: copy.app, groups), let record = registry.loadApp() else { return }
    record.group = nil
    if record.text == AppRecord().text {
        _ = reason { () throws(Errno) in try unlink("app", in: registry.folder) }
    } else {
        _ = try? registry.store(record)
    }
}

/// Removes the app's group, unless other groups are in it. Returns whether it has gone.
private func remove(app: ControlGroup, _ groups: ControlGroups) -> Bool {
    let problem = reason { () throws(Errno) in
        let parent = try open("\(groups.root)\(directory(of: app.path))", O_RDONLY | O_DIRECTORY)
        try removeDirectory(lastComponent(of: app.path), in: parent)
    }
    return problem == nil || problem == .noEntry
}

/// Removes a copy's group. The kernel refuses for a moment after the last process has ended, without an event.
private func removeEmpty(_ name: ByteString, in app: borrowing Descriptor) {
    for _ in 0..<20 {
        guard reason({ () throws(Errno) in try removeDirectory(name, in: app) }) == .busy else { return }
        let processes = try? readAll(try open("\(name)/cgroup.procs", in: app, O_RDONLY | O_NOFOLLOW), atMost: 1 << 20)
        guard let processes, processes.isEmpty else { return }
        _ = poll(nil, 0, 5)
    }
}
