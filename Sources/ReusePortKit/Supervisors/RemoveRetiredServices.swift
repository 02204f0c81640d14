import CLinux

/// Removes the services of generations that are over, at every supervisor that deploy has used, and then their
/// deployments from the registry.
///
/// `holdsTurn`: whether the caller has `deploy.lock`. While another invocation has it, nothing is removed, because
/// services that have just been written look like those of a generation that is over; that invocation calls this when it
/// is done. A failure is only reported: the command itself has done its work, and the next one tries again.
func removeRetiredServices(
    of app: ByteString, in runDirectory: ByteString, holdsTurn: Bool = false,
    target: (Deployment) -> SupervisionTarget?, failed: (Failure) -> Void
) {
    do throws(Failure) {
        guard let registry = try Registry.open(app, in: runDirectory, create: false) else { return }
        let turn = holdsTurn ? nil : try registry.lock(.deploy, until: .noWait)
        // Includes generations that the registry has forgotten, as it does when one fails again and again.
        let deployments = registry.loadDeployments()
        let state = AppState.reconciled(registry)
        for target in supervisionTargets(of: deployments, target) {
            do throws(Failure) {
                try removeServices(app: app, on: target) { label, copy in !state.needs(label, copy) }
            } catch {
                failed(error)
            }
        }
        // The logs of the last generations stay, as the registry knows them, and those of a label that is used again.
        for old in deployments where !state.app.generations.contains(where: { $0.label == old.label }) {
            removeLogs(of: old)
        }
        registry.remove(deployments, but: state.app.generations)
        registry.removeHalfWritten()
        if let turn { turn.release(closing: ()) }
    } catch {
        // Another invocation has the lock.
        if error.code != .negative { failed(error) }
    }
}

/// The supervisors that deploy has used, and whose folders are still there.
func supervisionTargets(
    of deployments: [Deployment], _ target: (Deployment) -> SupervisionTarget?
) -> [SupervisionTarget] {
    var targets: [SupervisionTarget] = []
    for deployment in deployments {
        guard let target = target(deployment), !targets.contains(target), !target.hasGone else { continue }
        targets.append(target)
    }
    return targets
}

extension AppState {
    /// Whether the service of this copy stays.
    func needs(_ label: ByteString, _ copy: Int) -> Bool {
        app.generations.contains { generation in
            guard generation.label == label else { return false }
            // A copy that finishes requests keeps its service until it ends.
            return generation.state == .starting || generation.state == .live && copy < generation.copies
                || running(generation.id).contains { $0.copy == copy }
        }
    }
}
