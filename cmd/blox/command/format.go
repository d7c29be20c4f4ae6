package command

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-openapi/swag/conv"

	"github.com/blox/blox/cmd/blox/show"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// optional returns a parameter that is omitted if s is empty.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// parseTime parses a time of cluster-state-service; zero if it is none.
func parseTime(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}
	}
	return t
}

func clusterOf(e *models.Environment) string {
	if e.InstanceGroup == nil {
		return ""
	}
	return e.InstanceGroup.Cluster
}

func tokenOf(e *models.Environment) string {
	return e.DeploymentToken
}

func attributesOf(list []*models.Attribute) string {
	var each []string
	for _, a := range list {
		if a.Value == "" {
			each = append(each, conv.Value(a.Name))
		} else {
			each = append(each, conv.Value(a.Name)+"="+a.Value)
		}
	}
	return strings.Join(each, ", ")
}

func breakerOf(b *models.CircuitBreaker) string {
	if b == nil || !b.Enable {
		return breakerOff
	}
	kind := breakerPause
	if b.Rollback {
		kind = breakerRollback
	}
	if b.Threshold != nil {
		kind += fmt.Sprintf(" after %d failures", *b.Threshold)
	}
	if b.ThresholdConfiguration != nil {
		kind += " after " + failureThreshold(b.ThresholdConfiguration)
	}
	if b.ResetOnHealthyTask {
		kind += ", reset by healthy tasks"
	}
	return kind
}

func failureThreshold(t *models.CircuitBreakerThreshold) string {
	value := conv.Value(t.Value)
	switch conv.Value(t.Type) {
	case models.CircuitBreakerThresholdTypeCOUNT:
		return fmt.Sprintf("%d failures", value)
	case models.CircuitBreakerThresholdTypeUNBOUNDEDPERCENT:
		return fmt.Sprintf("failures on %d%% of the instances", value)
	}
	return fmt.Sprintf("failures on %d%% of the instances (3 to 200)", value)
}

func canaryOf(c *models.Canary) string {
	switch {
	case c == nil:
		return ""
	case c.Query != "":
		return c.Query
	case len(c.Steps) > 0:
		var steps []string
		for _, step := range c.Steps {
			steps = append(steps, stepOf(step))
		}
		return strings.Join(steps, ", then ")
	}
	return percent(c.Percent)
}

func stepOf(s *models.CanaryStep) string {
	instances := s.Query
	switch {
	case s.Percent != nil:
		instances = percent(s.Percent)
	case s.Count != nil && *s.Count == 1:
		instances = "1 instance"
	case s.Count != nil:
		instances = number(*s.Count) + " instances"
	}
	if s.PauseMinutes != nil {
		instances += fmt.Sprintf(" for %d min", *s.PauseMinutes)
	}
	return instances
}

// stepProgressOf returns "1 of 3 (10% of the instances), promoted at …" for the present step of a canary.
func stepProgressOf(s show.Style, c *models.CanaryProgress) string {
	text := fmt.Sprintf("%d of %d (%s)", c.Step, c.Steps, c.Instances)
	switch {
	case c.PauseMinutes == nil:
		return text + ", waits for promotion"
	case c.PromotesAt == nil:
		return text + fmt.Sprintf(", promoted when its tasks have been ready for %d min", *c.PauseMinutes)
	}
	return text + ", promoted at " + s.Time(time.Time(*c.PromotesAt)) + " if its tasks stay ready"
}

func percent(n *int64) string {
	if n == nil {
		return ""
	}
	return number(*n) + "%"
}

// limitOf returns a limit of a rollout: a percentage, or the number of instances that replaces it.
func limitOf(share, instances *int64) string {
	if instances != nil {
		return number(*instances) + " instances"
	}
	return percent(share)
}

func joinNonEmpty(parts ...string) string {
	var given []string
	for _, p := range parts {
		if p != "" {
			given = append(given, p)
		}
	}
	return strings.Join(given, ", ")
}

func asJSON(v any) string {
	out, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(out)
}

func number(n int64) string { return strconv.FormatInt(n, 10) }
