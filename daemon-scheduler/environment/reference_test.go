package environment

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/internal/docs"
)

const (
	errorCode  = "the error code of ECS, or `NoResponse`"
	deployedBy = "Read `message`, then deploy a fixed revision."
)

// conditionRows has the holds, reasons and action of each condition.
var conditionRows = map[ConditionType][3]string{
	ConditionRolledBack: {
		"An earlier revision is in effect, because the newest one was rolled back.",
		"`RollbackRequested`, `DeploymentFailed`", "Fix the newest revision, then deploy it.",
	},
	ConditionPaused: {
		"A user paused the environment, or a failed or aborted deployment paused the rollout.",
		"`UserRequested`, `DeploymentFailed`, `DeploymentAborted`", "Resume the environment, or deploy.",
	},
	ConditionWaitingForPromotion: {
		"The deployment in progress waits for the promotion of its canary.", "`CanaryNotPromoted`",
		"Inspect the canary, then promote or stop the deployment.",
	},
	ConditionCircuitBreakerTripped: {
		"Too many tasks of the newest deployment that is no rollback failed.", "`TooManyFailures`", deployedBy,
	},
	ConditionProgressDeadlineExceeded: {
		"Tasks of the newest deployment that is no rollback did not become available within `progressDeadlineMinutes`.",
		"`TasksNotAvailable`", deployedBy,
	},
	ConditionAlarmTriggered: {
		"A CloudWatch alarm failed the newest deployment that is no rollback.", "`InAlarm`", deployedBy,
	},
	ConditionAlarmsIgnored: {
		"The deployment in progress ignores its alarms, because one was in ALARM when it started.", "`InAlarmAtStart`",
		"Watch the deployment yourself.",
	},
	ConditionTakeover: {
		"The environment takes over a `DAEMON` service, or has taken it over.",
		"`Planned` (in a dry run), `Moving`, `Completed`, `Cancelled`", "Wait, or cancel the takeover.",
	},
	ConditionClusterNotReconciled: {
		"cluster-state-service has never reconciled the cluster with ECS. Blox starts and stops nothing in the cluster.",
		"`NotReconciled`", "Read `message`, then allow cluster-state-service to read the cluster.",
	},
	ConditionOverlapsEnvironment: {
		"Another environment runs tasks of the same family on some of the instances. Both environments show this warning.",
		"`SameTaskDefinitionFamily`", "Narrow an instance group, or delete an environment.",
	},
	ConditionTasksUnhealthy: {
		"Container health checks of some tasks fail.", "`ContainerHealthCheckFailed`",
		"Read the reason of each instance, then check the container.",
	},
	ConditionCredentialsExpired: {
		"AWS rejects the credentials, the signature or the clock of daemon-scheduler.", errorCode,
		"Renew the credentials, or set the clock.",
	},
	ConditionRoleNotAssumed: {
		"STS does not let Blox assume the environment's role.", "the error code of STS, or `NoResponse`",
		"Allow `sts:AssumeRole` in both policies, or correct the role.",
	},
	ConditionThrottled: {
		"ECS throttles the account.", errorCode, "Wait. If it lasts, lower `--change-rate` and `--lookup-rate`.",
	},
	ConditionECSUnavailable: {
		"ECS fails or does not respond.", errorCode, "Check the network and the AWS Health Dashboard.",
	},
	ConditionAccessDenied: {
		"ECS denies StartTask or the use of a role.", errorCode, "Allow the denied action, such as `iam:PassRole`.",
	},
	ConditionTaskDefinitionRejected: {
		"ECS rejects every start of the deployment.", errorCode, deployedBy,
	},
	ConditionTaskStopFailed: {
		"ECS rejects StopTask.", errorCode, "Allow `ecs:StopTask`, or stop the task by hand.",
	},
	ConditionServicesUnknown: {
		"DescribeServices fails. Drains and scale-in also wait for the tasks of ECS `DAEMON` services.", errorCode,
		"Allow `ecs:DescribeServices`.",
	},
	ConditionAlarmsUnknown: {
		"CloudWatch does not report the states of the alarms, or does not know one of them. The rollout waits.",
		"the error code of CloudWatch, or `NoResponse`",
		"Allow `cloudwatch:DescribeAlarms`, create the alarm, or correct its name.",
	},
	ConditionTakeoverBlocked: {
		"ECS rejects the update of the service that the environment takes over.", errorCode,
		"Allow `ecs:UpdateService` and `ecs:DeleteService`.",
	},
}

func TestReference_Conditions(t *testing.T) {
	assert.Len(t, conditionRows, len(ConditionTypes))
	table := docs.Table{Header: []string{"condition", "holds while", "`reason`", "what to do"}}
	for _, condition := range ConditionTypes {
		row := conditionRows[condition]
		assert.NotEmpty(t, row[0], "describe %s", condition)
		table.Add(docs.Code(string(condition)), row[0], row[1], row[2])
	}
	docs.Check(t, "../docs/reference/conditions.md", "conditions", table.String())
}

// eventRows has what each action records.
var eventRows = map[EventAction]string{
	EventTaskStarted:          "ECS accepted a start on an instance that had no task of the environment before.",
	EventTaskReplaced:         "ECS accepted a start in place of an earlier task. `replacedTask` is the ARN of that task.",
	EventTaskFailed:           "A task stopped by itself. `detail` has the exit codes.",
	EventTaskStartFailed:      "ECS rejected a start.",
	EventTaskStopped:          "ECS accepted a stop.",
	EventTaskStopFailed:       "ECS rejected a stop.",
	EventPhantomTaskIgnored:   "ECS does not know a task of the cluster state. Blox ignores the task.",
	EventDeploymentStarted:    "A deployment started.",
	EventCanaryStepPromoted:   "All tasks of a canary's step were ready for its pause. Blox promoted the step.",
	EventDeploymentCompleted:  "A deployment completed.",
	EventDeploymentFailed:     "A deployment failed. `reason` has the cause.",
	EventDeploymentRolledBack: "A failed deployment started a rollback.",
	EventEnvironmentDeleted:   "A user deleted the environment, or the leader deleted it after it had stopped the tasks.",
	EventConditionAppeared:    "A condition that the leader observes appeared. `reason` is its type.",
	EventConditionCleared:     "A condition that the leader observes cleared. `reason` is its type.",
	EventsDropped:             "More events occurred than a replica could write. `count` is their number.",

	EventEnvironmentCreated: "A user created an environment. `changes` has its settings.",
	EventEnvironmentUpdated: "A user updated an environment. `changes` has each changed setting before and after.",
	EventDeploymentCreated:  "A user created a deployment. `changes` has the revision and the task definition.",
	EventEnvironmentPaused:  "A user paused an environment.",
	EventEnvironmentResumed: "A user resumed an environment.",
	EventRollbackRequested:  "A user requested a rollback. `changes` has the revision and the task definition.",
	EventDeploymentStopped:  "A user stopped a deployment. `changes` has its state before and after.",
	EventDeploymentPromoted: "A user promoted a canary. `changes` has its state before and after.",
	EventTakeoverCancelled:  "A user cancelled a takeover.",

	EventEnvironmentDeletionRequested: "A user requested the deletion of an environment with its tasks.",
}

func TestReference_Events(t *testing.T) {
	assert.Len(t, eventRows, len(EventActions))
	table := docs.Table{Header: []string{"`action`", "merged", "recorded when"}}
	for _, action := range EventActions {
		assert.NotEmpty(t, eventRows[action], "describe %s", action)
		merged := "no"
		if action.Repeats() {
			merged = "yes"
		}
		table.Add(docs.Code(string(action)), merged, eventRows[action])
	}
	docs.Check(t, "../docs/reference/events.md", "events", table.String())
}

// A constant that is missing in these lists would have no row.
func TestReference_HasEveryConstant(t *testing.T) {
	for typeName, want := range map[string]int{"ConditionType": len(ConditionTypes), "EventAction": len(EventActions)} {
		assert.Len(t, docs.Constants(t, ".", typeName), want, typeName)
	}
}
