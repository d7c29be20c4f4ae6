package ecssim

import (
	"strings"
	"time"

	"github.com/google/uuid"
)

// A task goes (PROVISIONING, with awsvpc) -> PENDING -> RUNNING -> STOPPING -> (DEPROVISIONING) -> STOPPED. Each step that
// ECS or its agent makes goes through whenConnected, for an agent that is away reports nothing.

// whenConnected does do now, or once the agent of the task's instance is connected again. Of several only the last is done.
func (s *Sim) whenConnected(t *task, do func()) {
	if t.instance != nil && !t.instance.connected && t.live() {
		t.instance.waitingForAgent[t] = do
		return
	}
	do()
}

// proceed takes a task that starts one step further.
func (s *Sim) proceed(t *task) {
	if t.desiredStatus != statusRunning {
		return // and does not take the place of the stop that waits for the agent
	}
	s.whenConnected(t, func() {
		switch {
		case t.lastStatus == statusProvisioning:
			t.lastStatus = statusPending
			s.taskChanged(t)
			s.schedule(s.cfg.PendingDelay, func() { s.proceed(t) })
		case t.lastStatus != statusPending:
		case s.dice.roll("fail to run", t.definition.family, s.faults.FailToRun[t.definition.family]):
			for _, c := range t.containers {
				c.reason = "CannotPullContainerError: pull image manifest has been retried 7 time(s)"
			}
			s.stopped(t, "TaskFailedToStart", "Task failed to start", nil)
		default:
			s.run(t)
		}
	})
}

func (s *Sim) run(t *task) {
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
	family := t.definition.family
	exit := s.faults.Exits[family]
	if s.dice.roll("exit", family, exit.Fraction) {
		s.schedule(time.Duration(exit.After), func() { s.whenConnected(t, func() { s.exit(t, exit.ExitCode) }) })
	}
}

// bind gives a container its ports on the instance.
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

// dynamicPort is the next of the ephemeral range, which is taken to be wide enough.
func (i *instance) dynamicPort() int {
	port := i.nextPort
	if i.nextPort++; i.nextPort > 60999 {
		i.nextPort = 32768
	}
	return port
}

// stop is StopTask: the task is told to end, and ends after its time.
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
				s.whenConnected(t, func() { s.stopped(t, code, reason, new(0)) })
			})
		})
	})
}

// exit is the end of a task whose containers ended by themselves.
func (s *Sim) exit(t *task, exitCode int) {
	s.stopped(t, "EssentialContainerExited", "Essential container in task exited", &exitCode)
}

// stopped makes a task STOPPED and gives back what it held. Containers that never ran have no exit code.
func (s *Sim) stopped(t *task, code, reason string, exitCode *int) {
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
		i.remaining.release(t.taken)
		delete(i.tasks, t)
		delete(i.waitingForAgent, t)
		s.countLive(t, -1)
		if i.status != statusInactive {
			s.instanceChanged(i)
		}
	}
	s.schedule(s.cfg.StoppedTaskRetention, func() { s.forget(t) })
}

// taskChanged counts and tells a change of a task.
func (s *Sim) taskChanged(t *task) {
	t.version++
	t.updatedAt = now()
	s.countRunning(t)
	s.emit("ECS Task State Change", t.arn, taskDetail{shapeTask[iso](t, false), iso(t.updatedAt)})
}
