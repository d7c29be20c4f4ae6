package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/go-openapi/swag/conv"
	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func newEnvironmentsDescribe(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "describe NAME", Aliases: []string{"get", "show"}, Short: "Show an environment and its settings",
		Args: positionalArgs("NAME"), ValidArgsFunction: a.environmentNames(),
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			got, err := c.Scheduler.GetEnvironmentContext(ctx, ds.NewGetEnvironmentParams().WithName(args[0]))
			if err != nil {
				return err
			}
			return a.printEnvironment(got.Payload)
		}),
	}
}

func (a *app) printEnvironment(e *models.Environment) error {
	return a.print(e, func(s show.Style) printable { return environmentFields(s, e) })
}

func environmentFields(s show.Style, e *models.Environment) *show.Fields {
	f := &show.Fields{}
	f.Add("Name", conv.Value(e.Name))
	f.Add("Type", e.EnvironmentType)
	f.Add("Status", e.Status)
	f.Add("Paused by", e.PausedBy)
	f.Add("Health", string(conv.Value(e.Health)))
	f.Add("Cluster", s.ID(clusterOf(e)))
	f.Add("Cluster ARN", clusterOf(e))
	for _, c := range e.Conditions {
		f.Add("Condition", conditionText(s, c))
	}
	f.Add("Task definition", effectiveDefinition(s, e))
	f.Add("Revision", effectiveRevision(e))
	f.Add("Takeover", takeoverText(e.Takeover))
	f.Add("Instances", countsOf(e))
	if e.InstanceGroup != nil {
		f.Add("Attributes", attributesOf(e.InstanceGroup.Attributes))
		f.Add("Query", e.InstanceGroup.Query)
	}
	addConfiguration(f, e.DeploymentConfiguration)
	f.Add("Unhealthy policy", e.UnhealthyPolicy)
	f.Add("Readiness attribute", e.ReadinessAttribute)
	f.Add("Role", e.Role)
	f.Add("Drain order", show.Count(e.DrainOrder))
	if e.ScaleInAfterMinutes != nil && *e.ScaleInAfterMinutes > 0 {
		f.Add("Scale in after", fmt.Sprintf("%d min", *e.ScaleInAfterMinutes))
	}
	if e.TaskSettings != nil {
		f.Add("Task settings", asJSON(e.TaskSettings))
	}
	f.Add("Created", s.Time(time.Time(conv.Value(e.CreatedAt))))
	f.Add("Updated", s.Time(time.Time(conv.Value(e.UpdatedAt))))
	f.Add("Deployment token", tokenOf(e))
	return f
}

// countsOf lists the counts of an environment; empty if they are unknown.
func countsOf(e *models.Environment) string {
	var counts []string
	for _, c := range []struct {
		count *int64
		name  string
	}{
		{e.DesiredCount, "desired"}, {e.AvailableCount, "available"}, {e.UpdatedCount, "up to date"},
		{e.RunningCount, "running"}, {e.PendingCount, "pending"}, {e.OutdatedCount, "outdated"},
		{e.UnreachableCount, "unreachable"}, {e.MisscheduledCount, "misscheduled"}, {e.FailedCount, "failed"},
	} {
		if c.count != nil {
			counts = append(counts, show.Count(c.count)+" "+c.name)
		}
	}
	return strings.Join(counts, ", ")
}

func addConfiguration(f *show.Fields, c *models.DeploymentConfiguration) {
	if c == nil {
		return
	}
	if c.MinimumHealthyPercent != nil {
		f.Add("Minimum healthy", show.Count(c.MinimumHealthyPercent)+"%")
	}
	if c.MaximumPercent != nil {
		f.Add("Maximum", show.Count(c.MaximumPercent)+"%")
	}
	if c.MaxUnavailable != nil {
		f.Add("Max unavailable", show.Count(c.MaxUnavailable))
	}
	if c.MaxSurge != nil {
		f.Add("Max surge", show.Count(c.MaxSurge))
	}
	f.Add("Circuit breaker", breakerOf(c.DeploymentCircuitBreaker))
	if c.Alarms != nil {
		f.Add("Alarms", alarmsOf(c.Alarms))
	}
	if c.BakeTimeInMinutes != nil && *c.BakeTimeInMinutes > 0 {
		f.Add("Bake time", fmt.Sprintf("%d min", *c.BakeTimeInMinutes))
	}
	if c.ProgressDeadlineMinutes != nil && *c.ProgressDeadlineMinutes > 0 {
		f.Add("Progress deadline", fmt.Sprintf("%d min", *c.ProgressDeadlineMinutes))
	}
	if c.MinimumHealthySeconds != nil && *c.MinimumHealthySeconds > 0 {
		f.Add("Minimum healthy time", fmt.Sprintf("%d s", *c.MinimumHealthySeconds))
	}
	if c.SlowStart != nil && !*c.SlowStart {
		f.Add("Slow start", "off")
	}
	f.Add("Spread by", c.SpreadBy)
	if c.Canary != nil {
		f.Add("Canary", canaryOf(c.Canary))
	}
}
