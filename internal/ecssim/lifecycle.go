package ecssim

import (
	"strings"
	"time"

	"github.com/google/uuid"
)

// A task passes through PROVISIONING (awsvpc only), PENDING, ACTIVATING, RUNNING, DEACTIVATING, STOPPING,
// DEPROVISIONING and STOPPED. Its containers start one after the other while it is ACTIVATING, and stop so while it is
// STOPPING. Each change sends an event; the last container's is the one of the task's next status. Source: "Amazon ECS
// task lifecycle" in the Amazon ECS Developer Guide.
//
// Transitions that the ECS agent reports go through whenConnected: a disconnected one reports nothing.

// whenConnected runs do now, or when the ECS agent of the task's instance reconnects. Only the last function waits for
// a reconnect; it replaces earlier ones.
func (s *Sim) whenConnected(t *task, do func()) {
	if t.instance != nil && !t.instance.connected && t.live() {
		t.instance.waitingForAgent[t] = do
		return
	}
	do()
}

// startStep returns how long a starting task has each status before RUNNING.
func (s *Sim) startStep(t *task) time.Duration {
	if t.eni != nil {
		return s.cfg.PendingDelay / 3 // PROVISIONING, PENDING, ACTIVATING
	}
	return s.cfg.PendingDelay / 2
}

// advance moves a starting task to its next status, or starts its next container.
func (s *Sim) advance(t *task) {
	if t.desiredStatus != statusRunning {
		return // a waiting stop must not be replaced
	}
	s.whenConnected(t, func() {
		family := t.definition.family
		next := func(wait time.Duration) {
			s.taskChanged(t)
			s.schedule(wait, func() { s.advance(t) })
		}
		switch {
		case t.desiredStatus != statusRunning:
		case t.lastStatus == statusProvisioning:
			t.lastStatus = statusPending
			next(s.startStep(t))
		case t.lastStatus == statusPending:
			if s.draws.hit("stay pending", family, s.faults.StayPending[family]) {
				return
			}
			t.lastStatus, t.pullStartedAt = statusActivating, now()
			next(s.startStep(t) / time.Duration(len(t.containers)))
		case t.lastStatus != statusActivating:
		case t.pullStoppedAt.IsZero() && s.draws.hit("fail to run", family, s.faults.FailToRun[family]):
			s.failToStart(t)
		case s.startContainer(t):
			s.setRunning(t)
		default:
			next(s.startStep(t) / time.Duration(len(t.containers)))
		}
	})
}

// failToStart ends a task whose image cannot be pulled.
func (s *Sim) failToStart(t *task) {
	for _, c := range t.containers {
		c.reason = "CannotPullContainerError: pull image manifest has been retried 7 time(s)"
	}
	t.setDesiredStopped("TaskFailedToStart", "Task failed to start")
	s.deprovision(t)
}

// startContainer starts the next container. It reports whether all run.
func (s *Sim) startContainer(t *task) (all bool) {
	if t.pullStoppedAt.IsZero() {
		t.pullStoppedAt = now()
	}
	for n, c := range t.containers {
		if c.status == statusPending {
			c.status = statusRunning
			c.runtime = strings.ReplaceAll(uuid.NewString(), "-", "")
			c.bindings = t.bind(c)
			return n == len(t.containers)-1
		}
	}
	return true
}

func (s *Sim) setRunning(t *task) {
	t.lastStatus = statusRunning
	t.startedAt = now()
	if t.instance != nil {
		t.instance.pending--
		t.instance.running++
	}
	s.taskChanged(t)
	s.scheduleHealth(t)
	family := t.definition.family
	exit := s.faults.Exits[family]
	if s.draws.hit("exit", family, exit.Fraction) {
		s.schedule(time.Duration(exit.After), func() { s.whenConnected(t, func() { s.exit(t, exit.ExitCode) }) })
	}
}

// bind returns the port bindings of a container.
func (t *task) bind(c *container) []networkBinding {
	var bindings []networkBinding
	mode := t.definition.input.NetworkMode
	for _, p := range c.input.PortMappings {
		b := networkBinding{BindIP: "0.0.0.0", ContainerPort: p.ContainerPort, HostPort: p.HostPort, Protocol: "tcp"}
		if p.Protocol != "" {
			b.Protocol = p.Protocol
		}
		switch {
		case mode == "awsvpc" || mode == "none" || t.instance == nil:
			continue
		case mode == "host":
			b.HostPort = p.ContainerPort
		case b.HostPort == 0:
			b.HostPort = t.instance.dynamicPort()
		}
		bindings = append(bindings, b)
	}
	return bindings
}

// dynamicPort returns the next port of the ephemeral range. It does not check whether the port is in use.
func (i *instance) dynamicPort() int {
	port := i.nextPort
	if i.nextPort++; i.nextPort > 60999 {
		i.nextPort = 32768
	}
	return port
}

// stop requests the stop of a task, as StopTask does. The task becomes STOPPED after StopDelay.
func (s *Sim) stop(t *task, code, reason string) {
	if t.desiredStatus == statusStopped {
		return
	}
	t.setDesiredStopped(code, reason)
	s.taskChanged(t)
	s.scheduleStop(t, s.stopStep(t))
}

// stopStep returns how long a stopping task has each status.
func (s *Sim) stopStep(t *task) time.Duration {
	if t.eni != nil {
		return s.cfg.StopDelay / 4 // RUNNING, DEACTIVATING, STOPPING, DEPROVISIONING
	}
	return s.cfg.StopDelay / 3
}

// setDesiredStopped sets the desired status and why, unless the task is already to stop.
func (t *task) setDesiredStopped(code, reason string) {
	if t.desiredStatus == statusStopped {
		return
	}
	t.desiredStatus = statusStopped
	t.stopCode, t.stoppedReason = code, reason
	t.stoppingAt = now()
	t.listedAt = t.stoppingAt
}

// scheduleStop has a stopping task move on after a wait.
func (s *Sim) scheduleStop(t *task, wait time.Duration) {
	s.schedule(wait, func() {
		if t.lastStatus == statusDeprovisioning { // the agent has nothing left to do
			s.setStopped(t)
			return
		}
		s.whenConnected(t, func() { s.stopFurther(t) })
	})
}

// stopFurther moves a stopping task to its next status, or stops its next container.
func (s *Sim) stopFurther(t *task) {
	perContainer := s.stopStep(t) / time.Duration(len(t.containers))
	switch t.lastStatus {
	case statusProvisioning, statusPending:
		s.deprovision(t)
	case statusRunning:
		t.lastStatus = statusDeactivating
		s.taskChanged(t)
		s.scheduleStop(t, s.stopStep(t))
	case statusActivating, statusDeactivating:
		t.lastStatus = statusStopping
		s.taskChanged(t)
		s.scheduleStop(t, perContainer)
	case statusStopping:
		if t.stopContainer(0) {
			s.deprovision(t)
			return
		}
		s.taskChanged(t)
		s.scheduleStop(t, perContainer)
	}
}

// stopContainer makes the next running container exit with a code. It reports whether none is left.
func (t *task) stopContainer(exitCode int) (none bool) {
	stopped := false
	for _, c := range t.containers {
		switch {
		case c.status != statusRunning:
		case stopped:
			return false
		default:
			c.status, c.exitCode = statusStopped, &exitCode
			if stopped = true; t.executionEnd.IsZero() {
				t.executionEnd = now()
			}
		}
	}
	return true
}

// exit makes the essential container of a task exit. Its other containers then stop.
func (s *Sim) exit(t *task, exitCode int) {
	if !t.live() || t.lastStatus == statusDeprovisioning {
		return
	}
	stopping := t.desiredStatus == statusStopped
	t.setDesiredStopped("EssentialContainerExited", "Essential container in task exited")
	if t.stopContainer(exitCode) {
		s.deprovision(t)
		return
	}
	s.taskChanged(t)
	if !stopping {
		s.scheduleStop(t, s.stopStep(t))
	}
}

// deprovision releases what a task had outside of its containers, which have stopped. Those that never ran have no exit
// code.
func (s *Sim) deprovision(t *task) {
	t.lastStatus = statusDeprovisioning
	for _, c := range t.containers {
		c.status = statusStopped
	}
	s.taskChanged(t)
	if t.eni == nil {
		s.scheduleStop(t, 0) // there is nothing to release
		return
	}
	s.scheduleStop(t, s.stopStep(t))
}

// terminate makes a task STOPPED immediately, as its host has gone. Its containers have no exit codes.
func (s *Sim) terminate(t *task, code, reason string) {
	t.setDesiredStopped(code, reason)
	if t.lastStatus != statusDeprovisioning {
		t.lastStatus = statusDeprovisioning
		for _, c := range t.containers {
			c.status = statusStopped
		}
		s.taskChanged(t)
	}
	s.setStopped(t)
}

// setStopped makes a task STOPPED and releases its resources.
func (s *Sim) setStopped(t *task) {
	if !t.live() {
		return
	}
	t.lastStatus = statusStopped
	t.stoppedAt = now()
	if !t.startedAt.IsZero() && t.executionEnd.IsZero() {
		t.executionEnd = t.stoppedAt
	}
	s.taskChanged(t)
	if i := t.instance; i != nil {
		if t.startedAt.IsZero() {
			i.pending--
		} else {
			i.running--
		}
		i.remaining.release(t.reserved)
		delete(i.tasks, t)
		delete(i.waitingForAgent, t)
		s.countLive(t, -1)
		if i.status != statusInactive {
			s.instanceChanged(i)
		}
		s.finishDraining(i)
	}
	s.schedule(s.cfg.StoppedTaskRetention, func() { s.removeTask(t) })
}

// taskChanged increments the version of a task and emits its event.
func (s *Sim) taskChanged(t *task) {
	t.version++
	t.updatedAt = now()
	s.countRunning(t)
	s.logTask(t)
	s.scheduleServices(t.cluster)
	s.emit("ECS Task State Change", t.arn, taskDetail{shapeTask[iso](t, false), iso(t.updatedAt)})
}
