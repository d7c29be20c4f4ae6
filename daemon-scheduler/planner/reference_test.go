package planner

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/docs"
)

// reasonRow explains a reason: its text, when it appears, and what to do.
type reasonRow struct{ text, meaning, action string }

const (
	nothing   = "Nothing."
	waitOnly  = "Wait."
	checkCSS  = "Check `GET /v1/ready` of both services."
	fixAgent  = "Check the ECS agent and the network of the instance."
	readTasks = "Read the stopped task's reason and logs."
)

var startReasons = []reasonRow{
	{startMissing, "No task of the environment runs on the instance.", nothing},
	{startStopped, "The earlier task stopped by itself.", readTasks},
	{
		startUnhealthy, "Blox stopped the earlier task, because it was UNHEALTHY.",
		"Check the container's health check.",
	},
	{startRetry, "The back-off after a failed start or task has ended.", nothing},
	{
		startImproved,
		"Resources became free or the ECS agent reconnected, so Blox retries before the back-off ends.", nothing,
	},
}

var waitReasons = []reasonRow{
	{statusNothing, "The environment has no deployment.", "Create a deployment."},
	{statusDeleting, "Blox stops the environment's tasks, then deletes it.", waitOnly},
	{
		statusNotMatching, "The instance is outside the instance group.",
		"Change the instance group if the instance belongs to it.",
	},
	{waitPaused, "A user paused the environment.", "Resume the environment."},
	{waitRolloutPaused, "A failed or aborted deployment paused the rollout.", "Resume the environment, or deploy."},
	{
		waitAlarms, "CloudWatch has not reported the states of the deployment's alarms.",
		"Read the condition `AlarmsUnknown`.",
	},
	{waitNotFresh, "daemon-scheduler has no current state of the cluster.", checkCSS},
	{
		waitPromotion, "The instance is outside the present step of the canary.",
		"Promote the canary, or wait for its pause.",
	},
	{waitRollout, "The rollout budget is used up. The limit follows.", waitOnly},
	{limitUnavailable, "The limit of `maxUnavailable` or `minimumHealthyPercent`.", waitOnly},
	{limitSurge, "The limit of `maxSurge` or `maximumPercent`.", waitOnly},
	{waitReplacement, "The task is UNHEALTHY, and the rollout budget is used up. The limit follows.", waitOnly},
	{waitSlowStart, "The first deployment starts in batches, and the earlier batch is not ready.", waitOnly},
	{waitWave, "An earlier wave of the rollout has not finished.", waitOnly},
	{
		waitBackingOff, "A start or task failed. Blox retries at `nextAttemptAt`. The failure follows.",
		"Read the failure.",
	},
	{
		waitConfirmation,
		"StartTask was not answered. Blox confirms with ECS before it starts another task.", waitOnly,
	},
	{waitInvisible, "ECS accepted the start. The task's event has not arrived.", waitOnly},
	{waitOldTask, "Blox has stopped the old task. ECS has not reported it as STOPPED.", waitOnly},
	{waitOldTasks, "Blox has stopped the old tasks. ECS has not reported one of them as STOPPED.", waitOnly},
	{waitMinReady, "The new task runs. It is ready after `minimumHealthySeconds`.", waitOnly},
	{waitHealthy, "The health check has not reported HEALTHY.", "If it lasts, check the container's health check."},
	{waitDisconnected, "ECS starts no task on the instance.", fixAgent},
	{disconnectedSince, "The same, with the time of the loss.", fixAgent},
	{waitStatus("DRAINING"), "The instance is not ACTIVE. Blox starts no task on it.", nothing},
	{waitWorkload, "Daemons run until the other tasks on the instance have stopped.", waitOnly},
	{waitDrainOrder, "Daemons with a lower `drainOrder` stop first.", waitOnly},
	{waitReleased, "The capacity provider can terminate the instance.", nothing},
	{waitService, "The takeover stops the service's task first.", waitOnly},
	{waitHandBack, "The environment's task stops when the service's task runs.", waitOnly},
	{waitGroupUnknown, "The query of the instance group is invalid. The error follows.", "Update the environment."},
	{waitCanaryUnknown, "The query of the canary is invalid. The error follows.", "Update the environment."},
}

var taskReasons = []reasonRow{
	{taskStarting, "The task is not RUNNING. Its status follows.", waitOnly},
	{taskStartingSince, "The same, with the time of its creation.", "If it lasts, read the rest of the reason."},
	{pullsSince, "The ECS agent pulls the images.", "If it lasts, check the registry and the network."},
	{pulledIn, "The ECS agent has pulled the images.", nothing},
	{taskStopping, "The task is stopping. The reason follows, if ECS reports one.", waitOnly},
	{lastTaskStopped, "The reason and the exit codes of the last task follow.", readTasks},
	{failureOverdue, "The task exceeded `progressDeadlineMinutes`.", readTasks},
	{
		"Container %s is UNHEALTHY.", "The health check of the container fails.",
		"Check the container's health check.",
	},
	{recordKeepsStopping, "Several tasks of the deployment stopped soon after their start.", readTasks},
}

var failureReasons = []reasonRow{
	{
		breakerTripped, "The number of failures reached the threshold. The first failure follows.",
		"Deploy a fixed revision.",
	},
	{deadlineExceeded, "No task became available within `progressDeadlineMinutes`.", "Deploy a fixed revision."},
	{alarmTriggered, "An alarm of the deployment went into ALARM.", "Read the alarm, then deploy a fixed revision."},
}

// internalReasons are parts of other reasons, or reasons that only the log has.
var internalReasons = []string{
	"recordTaskFound", "recordSettled", "recordScaleIn", "confirmUnanswered", "confirmInvisible", "forgetInstanceLeft",
	"stateNotHealthy", "breakerFirstReason", "hostReason", "stopPrefix",
}

var formatVerb = regexp.MustCompile(`%[sdq]`)

// shown returns a reason as users see it.
func shown(text string) string {
	text = formatVerb.ReplaceAllString(strings.TrimSpace(text), "…")
	if strings.HasSuffix(text, ":") {
		text += " …"
	}
	return docs.Code(text)
}

func TestReference_Reasons(t *testing.T) {
	explained := map[string]bool{}
	for name, rows := range map[string][]reasonRow{
		"starts": startReasons, "waits": waitReasons, "tasks": taskReasons, "failures": failureReasons,
	} {
		table := docs.Table{Header: []string{"reason", "meaning", "what to do"}}
		for _, row := range rows {
			explained[row.text] = true
			table.Add(shown(row.text), row.meaning, row.action)
		}
		docs.Check(t, "../docs/reference/reasons.md", name, table.String())
	}
	for name, text := range docs.Constants(t, ".", "") {
		if strings.Contains(text, " ") {
			assert.True(t, explained[text] || slices.Contains(internalReasons, name), "explain %s: %q", name, text)
		}
	}
}

// stopRows has why Blox stops a task for each reason.
var stopRows = map[StopReason]string{
	ReasonSuperseded:  "A rollout replaces the task by one of a newer deployment.",
	ReasonDuplicate:   "The instance has another task of the deployment.",
	ReasonNotMatching: "The instance no longer matches the instance group.",
	ReasonDraining:    "The instance drains, and its other tasks have stopped.",
	ReasonScaleIn:     "Only daemons ran on the instance for `scaleInAfterMinutes`.",
	ReasonUnhealthy:   "The task is UNHEALTHY, and `unhealthyPolicy` is `replace`.",
	ReasonDeleted:     "A user deleted the environment with `stopTasks=true`.",
	ReasonHandBack:    "The takeover was cancelled, and the service's task runs.",
}

func TestReference_Stops(t *testing.T) {
	assert.Len(t, docs.Constants(t, ".", "StopReason"), len(stopRows))
	assert.Len(t, StopMessages, len(stopRows))
	table := docs.Table{Header: []string{"`stoppedReason`", "`reason` of metrics", "meaning"}}
	for _, reason := range slices.Sorted(maps.Keys(stopRows)) {
		table.Add(docs.Code(reason.Message("NAME")), docs.Code(string(reason)), stopRows[reason])
	}
	docs.Check(t, "../docs/reference/reasons.md", "stops", table.String())
}

// phaseRows has the meaning of each phase of an instance.
var phaseRows = map[environment.InstancePhase]string{
	environment.InstanceRunning:  "The task of the environment is available.",
	environment.InstancePending:  "The task is starting, or it is RUNNING and not HEALTHY.",
	environment.InstanceOutdated: "The instance has a task of another deployment.",
	environment.InstanceMissing:  "The instance has no task.",
	environment.InstanceFailed:   "The task failed to start, keeps stopping or is UNHEALTHY.",
	environment.InstanceExcluded: "The instance should have no task.",
}

func TestReference_Phases(t *testing.T) {
	assert.Len(t, docs.Constants(t, "../environment", "InstancePhase"), len(phaseRows))
	table := docs.Table{Header: []string{"phase", "meaning"}}
	for _, phase := range slices.Sorted(maps.Keys(phaseRows)) {
		table.Add(docs.Code(string(phase)), phaseRows[phase])
	}
	docs.Check(t, "../docs/reference/reasons.md", "phases", table.String())
}
