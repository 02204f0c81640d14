import CLinux

/// Removes the services of generations that are over, wherever deploy has written some, and then what was known of
/// them.
///
/// `holdsTurn`: whether the caller has `deploy.lock`. While somebody else has it, nothing is removed: what has just
/// been written looks like what is over. Who has it comes by here when it is done. That it cannot be done is a warning:
/// what was asked for has been done by then, and who comes by next tries again.
func removeRetiredServices(
    of app: ByteString, in runDirectory: ByteString, holdsTurn: Bool = false, failed: (Failure) -> Void
) {
    do throws(Failure) {
        guard let registry = try Registry.open(app, in: runDirectory, create: false) else { return }
        let turn = holdsTurn ? nil : try registry.lock(.deploy, until: .noWait)
        // Also of generations that are not remembered any more: one that fails again and again makes others forgotten.
        let deployments = registry.loadDeployments()
        let state = AppState.reconciled(registry)
        var targets: [SupervisionTarget] = []
        for deployment in deployments {
            guard let on = deployment.settings.first(where: { $0.name == "--on" }),
                let target = try? parseSupervisionTarget(on.value), !targets.contains(target), !target.hasGone
            else { continue }
            targets.append(target)
            do throws(Failure) {
                try removeServices(app: app, on: target) { label, copy in !state.needs(label, copy) }
            } catch {
                failed(error)
            }
        }
        registry.remove(deployments, but: state.app.generations)
        registry.removeHalfWritten()
        if let turn { turn.release(closing: ()) }
    } catch {
        // Somebody else has the turn.
        if error.code != .negative { failed(error) }
    }
}

extension AppState {
    /// Whether a service for this copy is to stay.
    func needs(_ label: ByteString, _ copy: Int) -> Bool {
        app.generations.contains { generation in
            guard generation.label == label else { return false }
            // What finishes is removed when it has.
            return generation.state == .starting || generation.state == .live && copy < generation.copies
                || running(generation.id).contains { $0.copy == copy }
        }
    }
}
