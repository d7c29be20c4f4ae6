package command

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-openapi/swag/conv"

	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// optional returns a parameter that is omitted if s is empty.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func clusterOf(e *models.Environment) string {
	if e.InstanceGroup == nil {
		return ""
	}
	return conv.Value(e.InstanceGroup.Cluster)
}

func tokenOf(e *models.Environment) string {
	return conv.Value(e.DeploymentToken).String()
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
		return fmt.Sprintf("%s after %d failures", kind, *b.Threshold)
	}
	return kind
}

func canaryOf(c *models.Canary) string {
	switch {
	case c == nil:
		return ""
	case c.Query != "":
		return c.Query
	}
	return percent(c.Percent)
}

func percent(n *int64) string {
	if n == nil {
		return ""
	}
	return number(*n) + "%"
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
