package ecssim

import (
	"fmt"
	"slices"
)

// Health statuses of containers and tasks, as ECS spells them.
const (
	healthUnknown   = "UNKNOWN"
	healthHealthy   = "HEALTHY"
	healthUnhealthy = "UNHEALTHY"
)

// Containers with a health check are UNKNOWN from their start, and HEALTHY or UNHEALTHY after Config.HealthDelay. A
// change of health raises no version and sends no event; DescribeTasks alone shows it.

// scheduleHealth schedules the first result of a RUNNING task's health checks.
func (s *Sim) scheduleHealth(t *task) {
	if !t.hasHealthCheck() {
		return
	}
	s.schedule(s.cfg.HealthDelay, func() {
		if t.lastStatus != statusRunning || t.health() != healthUnknown {
			return
		}
		family := t.definition.family
		status := healthHealthy
		if s.draws.hit("unhealthy", family, s.faults.Unhealthy[family]) {
			status = healthUnhealthy
		}
		t.setHealth(status)
		s.logTask(t)
	})
}

func (c *container) hasHealthCheck() bool { return c.input.HealthCheck != nil }

func (t *task) hasHealthCheck() bool {
	return slices.ContainsFunc(t.containers, (*container).hasHealthCheck)
}

// setHealth sets the result of all health checks of the task.
func (t *task) setHealth(status string) {
	for _, c := range t.containers {
		if c.hasHealthCheck() {
			c.health = status
		}
	}
}

// health returns the health of the task. As in ECS, only essential containers with a health check count.
func (t *task) health() string {
	health := healthUnknown
	for _, c := range t.containers {
		essential := c.input.Essential == nil || *c.input.Essential
		switch {
		case !essential || !c.hasHealthCheck():
		case c.health == healthUnhealthy:
			return healthUnhealthy
		default:
			health = c.health
		}
	}
	return health
}

// SetHealth sets the result of the health checks of a RUNNING task, given by ARN or id, to HEALTHY, UNHEALTHY or
// UNKNOWN. A task without a health check is an error.
func (s *Sim) SetHealth(arn, status string) error {
	if !slices.Contains([]string{healthHealthy, healthUnhealthy, healthUnknown}, status) {
		return fmt.Errorf("status %.100q is not HEALTHY, UNHEALTHY or UNKNOWN", status)
	}
	s.lock()
	defer s.unlock()
	t := s.findTask(arn)
	switch {
	case t == nil || t.lastStatus != statusRunning:
		return fmt.Errorf("%w: running task %.300q", errNotFound, arn)
	case !t.hasHealthCheck():
		return fmt.Errorf("task %.300q has no health check in its task definition", arn)
	}
	t.setHealth(status)
	s.logTask(t)
	return nil
}
