import CLinux

extension AppState {
    /// Makes the group of a copy, below the app's, with these limits. Nil in a unit of systemd, which has a group already,
    /// and where no group can be made but no limit is asked for either.
    ///
    /// The caller holds the app's lock. A failure leaves no group behind. The app's group is recorded before it is made, so
    /// that the next invocation can remove it after a kill.
    func makeGroup(
        _ limits: MemoryLimits, for copy: Int, of label: ByteString, under supervisor: Supervisor?,
        in registry: Registry, number: Int32 = getpid(), _ groups: ControlGroups = ControlGroups()
    ) throws(Failure) -> CopyGroup? {
        let object: ByteString = "the memory of app \(registry.app)"
        switch supervisor {
        case .systemd(let unit)?, .userSystemd(let unit)?:
            if limits.isEmpty { return nil }
            throw .usage(
                "limit", object, "systemd keeps the groups of \(unit)",
                remedy: "set MemoryMax= in the unit instead of --memory-max")
        case .runit?, .s6?, nil: break
        }
        let place: ControlGroup
        do throws(Failure) {
            place = try placeForApp(registry, object, groups, limits: !limits.isEmpty)
        } catch {
            if limits.isEmpty { return nil }
            throw error
        }
        let before = registry.loadApp()
        if before?.group != place {
            // What an earlier command has left in its place is not found again after this.
            _ = removeUnusedGroups(registry, groups)
            let known = before ?? AppRecord()
            known.group = place
            try registry.store(known)
        }
        app.group = place
        let result = CopyGroup(
            group: ControlGroup(version: place.version, path: "\(place.path)/\(label).\(copy).\(number)"),
            max: limits.max, appMax: limits.appMax, isLimited: !limits.isEmpty)
        do throws(Failure) {
            let isFirst = copies.allSatisfy { $0.group?.isLimited != true || $0.state == .ended }
            try makeAppGroup(place, limits, isFirst: isFirst, groups)
            if try !makeCopyGroup(result, limits, groups) {
                return try makeGroup(
                    limits, for: copy, of: label, under: supervisor, in: registry, number: number + 1, groups)
            }
        } catch {
            removeUnusedGroup(result, in: registry, groups)
            if limits.isEmpty { return nil }
            throw error
        }
        return result
    }

    /// The group that the app has or had; else one in the nearest place. A copy without limits stays below the group of
    /// its command, which may be a session's or a service's.
    private func placeForApp(
        _ registry: Registry, _ object: ByteString, _ groups: ControlGroups, limits: Bool
    ) throws(Failure) -> ControlGroup {
        if limits, let known = app.group, groups.contain(known.path),
            known.version == .first || groups.handsMemoryDown(directory(of: known.path)),
            (try? open("\(groups.root)\(directory(of: known.path))", O_RDONLY | O_DIRECTORY)) != nil,
            lastComponent(of: known.path) == (try? groupName(of: registry))
        {
            return known
        }
        let hierarchy = try step("read", "the mounted control groups") { () throws(Errno) in
            try groups.hierarchy(limits: limits)
        }
        guard let hierarchy else {
            throw Failure(
                .system, "limit", object, "no control groups with a memory controller can be seen",
                remedy: "mount cgroup2, or leave --memory-max out")
        }
        do throws(Errno) {
            let place = try groups.placeForGroups(hierarchy, limits: limits)
            return ControlGroup(version: hierarchy.version, path: "\(place)/\(try groupName(of: registry))")
        } catch {
            throw Failure(
                .system, "limit", object,
                error == .noEntry
                    ? "no control group above \(hierarchy.mount)\(hierarchy.own) hands the memory controller down"
                    : "\(hierarchy.mount)\(hierarchy.own): \(error.description)", remedy: wayOut)
        }
    }

    private func makeAppGroup(
        _ place: ControlGroup, _ limits: MemoryLimits, isFirst: Bool, _ groups: ControlGroups
    ) throws(Failure) {
        try step("make", "group \(place.path)", remedy: { $0 == .accessDenied ? wayOut : nil }) { () throws(Errno) in
            let parent = try open("\(groups.root)\(directory(of: place.path))", O_RDONLY | O_DIRECTORY)
            _ = try makeDirectory(lastComponent(of: place.path), in: parent)
            if limits.isEmpty { return }
            let app = try GroupDirectory(place, in: groups)
            switch place.version {
            case .first:
                // Before Linux 5.11 a group does not count what is below it unless it is told to.
                if (try? app.read("memory.use_hierarchy"))?.hasPrefix("0") == true {
                    try app.write("1", to: "memory.use_hierarchy")
                }
            case .second:
                try app.write("+memory", to: "cgroup.subtree_control")
            }
        }
        // A new generation may fail, so it does not lower the limit of the running copies. See `settleAppLimit`.
        guard let max = limits.appMax else { return }
        try step("set", "--app-memory-max \(memorySize(max))") { () throws(Errno) in
            let app = try GroupDirectory(place, in: groups)
            if isFirst || app.max.map({ $0 < max }) ?? false { try app.setMax(max) }
        }
    }

    /// Returns whether the group is the copy's alone.
    private func makeCopyGroup(
        _ copy: CopyGroup, _ limits: MemoryLimits, _ groups: ControlGroups
    ) throws(Failure) -> Bool {
        let name = lastComponent(of: copy.group.path)
        let isOwn = try step("make", "group \(copy.group.path)") { () throws(Errno) -> Bool in
            let parent = try GroupDirectory(copy.app, in: groups)
            if try makeDirectory(name, in: parent.directory) { return true }
            // A command that had this pid before has left it. It has counted kills, so it is made again; the kernel
            // refuses that while its processes run.
            if reason({ () throws(Errno) in try removeDirectory(name, in: parent.directory) }) == .busy { return false }
            _ = try makeDirectory(name, in: parent.directory)
            return true
        }
        if !isOwn { return false }
        if let high = limits.high {
            try step("set", "--memory-high \(memorySize(high))") { () throws(Errno) in
                try GroupDirectory(copy.group, in: groups).setHigh(high)
            }
        }
        if let max = limits.max {
            try step("set", "--memory-max \(memorySize(max))") { () throws(Errno) in
                try GroupDirectory(copy.group, in: groups).setMax(max)
            }
        }
        return true
    }

    /// Sets the app's limit to what the live generation asks for; returns why it could not be set.
    func settleAppLimit(_ copy: CopyRecord, _ groups: ControlGroups = ControlGroups()) -> Errno? {
        guard let group = copy.group, let live = app.live, live.id == copy.generation else { return nil }
        return reason { () throws(Errno) in
            let app = try GroupDirectory(group.app, in: groups)
            if group.appMax != nil || app.max != nil { try app.setMax(group.appMax) }
        }
    }
}

/// The name of an app's group.
func groupName(of registry: Registry) throws(Errno) -> ByteString {
    try groupName(ofApp: registry.app, registeredIn: registry.folder)
}

private var wayOut: ByteString {
    "run it as root, have a group with the memory controller delegated, or leave --memory-max out"
}
