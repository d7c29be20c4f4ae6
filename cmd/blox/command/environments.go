package command

import (
	"github.com/spf13/cobra"
)

func newEnvironmentsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "environments", Aliases: []string{"environment", "env", "envs"},
		Short: "Manage environments: which task runs on which instances",
		Long: `An environment selects container instances of a cluster and names the task definition to run once on each. It
also configures how deployments replace one revision by the next. Creating or updating an environment starts no task;
"blox deploy" does.`,
		Example: `  blox environments create web-agent --cluster default --task-definition agent:1
  blox environments update web-agent --task-definition agent:2
  blox environments instances web-agent`,
	}
	cmd.AddCommand(
		newEnvironmentsCreate(a), newEnvironmentsUpdate(a), newEnvironmentsList(a), newEnvironmentsDescribe(a),
		newEnvironmentsDelete(a),
		newEnvironmentsPause(a), newEnvironmentsResume(a), newEnvironmentsRollback(a), newEnvironmentsRevisions(a),
		newEnvironmentsInstances(a), newEnvironmentsCancelTakeover(a),
	)
	return cmd
}
