package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
	"github.com/blox/blox/internal/version"
	css "github.com/blox/blox/swagger/cluster-state-service/v1/client/operations"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
)

// componentVersion is the version of a program, or why it is unknown.
type componentVersion struct {
	Component string `json:"component"`
	Version   string `json:"version,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

func newVersionCommand(a *app) *cobra.Command {
	var clientOnly bool
	cmd := &cobra.Command{
		Use: "version", Short: "Show the versions of blox and of the services",
		Long: `Show the versions of blox and of the services, and warn if they differ. The exit code is 1 if a service does
not report its version.`,
		Example: `  blox version --client`,
		Args:    positionalArgs(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			all := []componentVersion{{Component: "blox", Version: version.String()}}
			if !clientOnly {
				all = append(all, schedulerVersion(ctx, c), stateVersion(ctx, c))
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return a.printVersions(all)
		}),
	}
	cmd.Flags().BoolVar(&clientOnly, "client", false, "show only the version of blox")
	return cmd
}

func schedulerVersion(ctx context.Context, c *connect.Clients) componentVersion {
	const name = "daemon-scheduler"
	response, err := c.Scheduler.ReadyContext(ctx, ds.NewReadyParams())
	if err != nil {
		return versionOfUnready(name, err)
	}
	return reportedVersion(name, response.Payload.Version)
}

func stateVersion(ctx context.Context, c *connect.Clients) componentVersion {
	const name = "cluster-state-service"
	response, err := c.State.ReadyContext(ctx, css.NewReadyParams())
	if err != nil {
		return versionOfUnready(name, err)
	}
	return reportedVersion(name, response.Payload.Version)
}

// versionOfUnready returns the version in the response of a service that is not ready.
func versionOfUnready(name string, err error) componentVersion {
	var refused *connect.ResponseError
	var reported struct{ Version string }
	if errors.As(err, &refused) && json.Unmarshal([]byte(refused.Text), &reported) == nil {
		return reportedVersion(name, reported.Version)
	}
	return componentVersion{Component: name, Reason: show.OneLine(err.Error())}
}

func reportedVersion(name, reported string) componentVersion {
	if reported == "" {
		return componentVersion{Component: name, Reason: "The service does not report its version: it is older than v0.4."}
	}
	return componentVersion{Component: name, Version: reported}
}

func (a *app) printVersions(all []componentVersion) error {
	err := a.print(map[string]any{"items": all}, func(show.Style) printable {
		rows := &show.Rows{Columns: show.Columns("COMPONENT", "VERSION", "REASON~")}
		for _, v := range all {
			rows.Add(v.Component, v.Version, v.Reason)
		}
		return rows
	})
	if err != nil {
		return err
	}
	complete := true
	for _, v := range all {
		complete = complete && v.Version != ""
		if v.Version != "" && v.Version != all[0].Version {
			fmt.Fprintf(a.Err, "Warning: %s has version %s, blox has %s.\n", v.Component, v.Version, all[0].Version)
		}
	}
	if !complete {
		return &outcome{exitError}
	}
	return nil
}
