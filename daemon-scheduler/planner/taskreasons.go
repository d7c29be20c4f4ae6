package planner

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// disconnectedReason returns the reason of an instance whose agent is disconnected, with the time of the loss if this
// replica knows it.
func (f *facts) disconnectedReason(arn string) string {
	since, known := f.DisconnectedSince[arn]
	if !known {
		return waitDisconnected
	}
	return fmt.Sprintf(disconnectedSince, timeText(since))
}

// lostAgentReason returns the reason of an ACTIVE instance whose agent is disconnected; empty for others.
func (f *facts) lostAgentReason(i *instanceState) string {
	if i.Status != statusActive || i.AgentConnected {
		return ""
	}
	return f.disconnectedReason(i.ARN)
}

// failureDetail completes the reason of a failed instance: with what ECS shows of its task or has answered.
func failureDetail(i *instanceState) string {
	detail := i.launch.Detail
	if i.hasKept && i.kept.Starting() {
		detail = startDetail(i.kept)
	}
	if detail == "" {
		return ""
	}
	return " (" + detail + ")"
}

// lastStopDetail completes the reason of an instance whose last task has stopped; empty if ECS reports nothing.
func (f *facts) lastStopDetail(i *instanceState) string {
	last := f.task(i.launch.Task)
	detail := StopDetail(last)
	if last.ARN == "" || last.Live() || detail == "" {
		return ""
	}
	return " " + lastTaskStopped + detail
}

// startingReason returns why the instance's task does not run yet, as far as ECS shows it.
func (f *facts) startingReason(i *instanceState) string {
	t := i.kept
	switch {
	case t.Stopping():
		if detail := StopDetail(t); detail != "" {
			return taskStopping + ": " + detail
		}
		return taskStopping + "."
	case f.lostAgentReason(i) != "":
		return f.lostAgentReason(i)
	}
	reason := fmt.Sprintf(taskStarting, t.LastStatus)
	if !t.CreatedAt.IsZero() {
		reason = fmt.Sprintf(taskStartingSince, t.LastStatus, timeText(t.CreatedAt))
	}
	if detail := startDetail(t); detail != "" {
		reason += "; " + detail
	}
	return reason + "."
}

// startDetail returns what ECS shows of the start of a task: the pull of its images, and its containers.
func startDetail(t environment.Task) string {
	var details []string
	switch {
	case t.PullStartedAt.IsZero():
	case t.PullStoppedAt.IsZero():
		details = append(details, fmt.Sprintf(pullsSince, timeText(t.PullStartedAt)))
	default:
		details = append(details, fmt.Sprintf(pulledIn, max(0, t.PullStoppedAt.Sub(t.PullStartedAt)).Round(time.Second)))
	}
	return strings.Join(append(details, containerTexts(t.Containers)...), "; ")
}

// StopDetail returns why a task stops or has stopped: ECS's reason and code, and its containers.
func StopDetail(t environment.Task) string {
	details := containerTexts(t.Containers)
	if t.StopCode != "" {
		details = slices.Insert(details, 0, t.StopCode)
	}
	switch detail := strings.Join(details, "; "); {
	case detail == "":
		return t.StoppedReason
	case t.StoppedReason == "":
		return detail
	default:
		return t.StoppedReason + " (" + detail + ")"
	}
}

// containerTexts describes containers by their exit codes and reasons.
func containerTexts(containers []environment.Container) (texts []string) {
	for _, c := range containers {
		text := "container " + c.Name
		if c.ExitCode != nil {
			text += fmt.Sprintf(" exited with code %d", *c.ExitCode)
		}
		if c.Reason != "" {
			text += ": " + c.Reason
		}
		texts = append(texts, text)
	}
	return texts
}

func timeText(t time.Time) string { return t.UTC().Format(time.RFC3339) }
