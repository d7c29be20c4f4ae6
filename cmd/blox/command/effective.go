package command

import (
	"slices"
	"time"

	"github.com/go-openapi/swag/conv"

	"github.com/blox/blox/cmd/blox/show"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// effectiveDefinition returns the task definition in effect and, in parentheses, that of the newest revision if it is
// another one: "agent:1 (rolled back from agent:2)".
func effectiveDefinition(s show.Style, e *models.Environment) string {
	desired := s.ID(e.TaskDefinition)
	effective := s.ID(e.EffectiveTaskDefinition)
	if effective == "" || effective == desired {
		return desired
	}
	relation := "newest: "
	if isRolledBack(e) {
		relation = "rolled back from "
	}
	return effective + " (" + relation + desired + ")"
}

// effectiveRevision returns the number of the revision in effect and, in parentheses, the newest one if it is another.
func effectiveRevision(e *models.Environment) string {
	if e.EffectiveRevision == 0 || e.EffectiveRevision == e.Revision {
		return number(e.Revision)
	}
	return number(e.EffectiveRevision) + " (newest: " + number(e.Revision) + ")"
}

func isRolledBack(e *models.Environment) bool { return hasCondition(e, "RolledBack") }

func hasCondition(e *models.Environment, kind string) bool {
	return slices.ContainsFunc(e.Conditions, func(c *models.Condition) bool {
		return conv.Value(c.Type) == kind && conv.Value(c.Status) == "True"
	})
}

// conditionText formats a condition as "Paused since 2026-11-21 05:26:07: message".
func conditionText(s show.Style, c *models.Condition) string {
	text := conv.Value(c.Type)
	if conv.Value(c.Status) != "True" {
		text += " is " + conv.Value(c.Status)
	}
	if since := s.Time(time.Time(conv.Value(c.LastTransitionTime))); since != "" {
		text += " since " + since
	}
	if c.Message != "" {
		text += ": " + c.Message
	}
	return text
}
