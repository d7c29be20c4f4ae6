package environment

import "time"

// Phase is an environment's state in a word.
type Phase string

// The first that is true, from below.
const (
	PhaseInactive  Phase = "inactive"  // nothing is kept up
	PhaseActive    Phase = "active"    // a completed deployment is kept up
	PhaseDeploying Phase = "deploying" // a deployment is in progress
	PhasePaused    Phase = "paused"    // nothing is started or stopped
	PhaseDeleting  Phase = "deleting"  // its tasks are being stopped, and then it goes
)

// Phase is the environment's state.
func (e Environment) Phase() Phase {
	_, inProgress := e.InProgress()
	_, deployed := e.Current()
	switch {
	case e.IsDeleting():
		return PhaseDeleting
	case e.Paused:
		return PhasePaused
	case inProgress:
		return PhaseDeploying
	case deployed:
		return PhaseActive
	}
	return PhaseInactive
}

// Pause has nothing started or stopped until Resume. It is the user's own, which no deployment ends.
func (e Environment) Pause() (Environment, error) {
	e.Paused, e.PausedBy = true, ""
	return e, e.checkNotDeleting()
}

// Resume ends a pause.
func (e Environment) Resume() (Environment, error) {
	e.Paused, e.PausedBy = false, ""
	return e, e.checkNotDeleting()
}

// pauseAfter is e, paused because of a deployment that was aborted or failed, unless its user has paused it already.
func (e Environment) pauseAfter(id string) Environment {
	if !e.Paused || e.PausedBy != "" {
		e.Paused, e.PausedBy = true, id
	}
	return e
}

// clearAutomaticPause is e without a pause that a deployment has caused.
func (e Environment) clearAutomaticPause() Environment {
	if e.PausedBy != "" {
		e.Paused, e.PausedBy = false, ""
	}
	return e
}

// Delete has all tasks stopped, after which the environment goes: what is in progress ends, and nothing begins any more.
func (e Environment) Delete(now time.Time) Environment {
	if e.IsDeleting() {
		return e
	}
	e.DeletingSince, e.Paused, e.PausedBy = now.UTC(), false, ""
	for d, ok := e.InProgress(); ok; d, ok = e.InProgress() {
		e = e.endDeployment(d, RolloutStopped, "The environment is being deleted.", now)
	}
	return e
}

// IsDeleting tells whether the environment's tasks are being stopped, after which it goes.
func (e Environment) IsDeleting() bool { return !e.DeletingSince.IsZero() }

func (e Environment) checkNotDeleting() error {
	if e.IsDeleting() {
		return deleting(e.Name)
	}
	return nil
}
