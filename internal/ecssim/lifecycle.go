package ecssim

import (
	"strings"
	"time"

	"github.com/google/uuid"
)

// A task passes through PROVISIONING (awsvpc only), PENDING, RUNNING, STOPPING, DEPROVISIONING (awsvpc only) and
// STOPPED. Transitions that the ECS agent reports go through whenConnected: a disconnected one reports nothing.

// whenConnected runs do now, or when the ECS agent of the task's instance reconnects. Only the last function waits for
// a reconnect; it replaces earlier ones.
func (s *Sim) whenConnected(t *task, do func()) {
	if t.instance != nil && !t.instance.connected && t.live() {
		t.instance.waitingForAgent[t] = do
		return
	}
	do()
}

// advance moves a starting task to its next status.
func (s *Sim) advance(t *task) {
	if t.desiredStatus != statusRunning {
		return // a waiting stop must not be replaced
	}
	s.whenConnected(t, func() {
		switch {
		case t.lastStatus == statusProvisioning:
			t.lastStatus = statusPending
			s.taskChanged(t)
			s.schedule(s.cfg.PendingDelay, func() { s.advance(t) })
		case t.lastStatus != statusPending:
		case s.draws.hit("stay pending", t.definition.family, s.faults.StayPending[t.definition.family]):
		case s.draws.hit("fail to run", t.definition.family, s.faults.FailToRun[t.definition.family]):
			for _, c := range t.containers {
				c.reason = "CannotPullContainerError: pull image manifest has been retried 7 time(s)"
			}
			s.setStopped(t, "TaskFailedToStart", "Task failed to start", nil)
		default:
			s.setRunning(t)
		}
	})
}

func (s *Sim) setRunning(t *task) {
	t.lastStatus = statusRunning
	t.startedAt = now()
	t.pullStartedAt, t.pullStoppedAt = t.createdAt, t.startedAt
	for _, c := range t.containers {
		c.status = statusRunning
		c.runtime = strings.ReplaceAll(uuid.NewString(), "-", "")
		c.bindings = t.bind(c)
	}
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
	t.desiredStatus = statusStopped
	t.stoppingAt = now()
	t.listedAt = t.stoppingAt
	t.stopCode, t.stoppedReason = code, reason
	s.taskChanged(t)
	s.schedule(s.cfg.StopDelay/2, func() {
		s.whenConnected(t, func() {
			if t.lastStatus == statusRunning {
				t.lastStatus = statusStopping
				s.taskChanged(t)
			}
			s.schedule(s.cfg.StopDelay-s.cfg.StopDelay/2, func() {
				s.whenConnected(t, func() { s.setStopped(t, code, reason, new(0)) })
			})
		})
	})
}

// exit stops a task because its essential container exited.
func (s *Sim) exit(t *task, exitCode int) {
	s.setStopped(t, "EssentialContainerExited", "Essential container in task exited", &exitCode)
}

// setStopped makes a task STOPPED and releases its resources. Containers that never ran have no exit code.
func (s *Sim) setStopped(t *task, code, reason string, exitCode *int) {
	if !t.live() {
		return
	}
	if t.desiredStatus != statusStopped {
		t.desiredStatus = statusStopped
		t.stopCode, t.stoppedReason = code, reason
		t.stoppingAt = now()
		t.listedAt = t.stoppingAt
	}
	if t.eni != nil {
		t.lastStatus = statusDeprovisioning
		s.taskChanged(t)
	}
	t.lastStatus = statusStopped
	t.stoppedAt = now()
	for _, c := range t.containers {
		c.status = statusStopped
		if !t.startedAt.IsZero() {
			c.exitCode = exitCode
			t.executionEnd = t.stoppedAt
		}
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
	}
	s.schedule(s.cfg.StoppedTaskRetention, func() { s.removeTask(t) })
}

// taskChanged increments the version of a task and emits its event.
func (s *Sim) taskChanged(t *task) {
	t.version++
	t.updatedAt = now()
	s.countRunning(t)
	s.scheduleServices(t.cluster)
	s.emit("ECS Task State Change", t.arn, taskDetail{shapeTask[iso](t, false), iso(t.updatedAt)})
}
