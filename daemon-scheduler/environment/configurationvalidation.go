package environment

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/go-openapi/swag/conv"
)

// validate returns the problems of the configuration in the form of Spec.Validate.
func (c DeploymentConfiguration) validate(d *TaskDefinition) (problems []string) {
	add := func(wrong bool, format string, args ...any) {
		if wrong {
			problems = append(problems, "deploymentConfiguration."+fmt.Sprintf(format, args...))
		}
	}
	add(c.MinimumHealthyPercent != nil && c.MaxUnavailableCount > 0,
		"maxUnavailable in body should not be given with minimumHealthyPercent")
	add(c.MaximumPercent != nil && c.MaxSurgeCount != nil,
		"maxSurge in body should not be given with maximumPercent")
	add(c.CircuitBreaker.Threshold > 0 && c.CircuitBreaker.ThresholdConfiguration != nil,
		"deploymentCircuitBreaker in body should have either threshold or thresholdConfiguration")
	if c.Alarms != nil {
		for i, name := range c.Alarms.Names {
			add(strings.ContainsFunc(name, unicode.IsControl), "alarms.alarmNames.%d in body has control characters", i)
		}
	}
	if c.Canary != nil {
		ambiguous := !exactlyOne(c.Canary.Percent > 0, c.Canary.Query != "", len(c.Canary.Steps) > 0)
		add(ambiguous, "canary in body should have either percent, query or steps")
		for _, problem := range c.Canary.validateSteps() {
			add(true, "%s", problem)
		}
	}
	const sideBySide = "as tasks with static host ports cannot run side by side"
	staticPorts := d != nil && d.StaticPorts
	add(c.Maximum() > 100 && staticPorts, "maximumPercent in body should be 100, "+sideBySide)
	add(conv.Value(c.MaxSurgeCount) > 0 && staticPorts, "maxSurge in body should be 0, "+sideBySide)
	return problems
}

// validateSteps returns the problems of the steps, and of the query of a canary without steps.
func (c Canary) validateSteps() (problems []string) {
	largest := CanaryStep{}
	for n, step := range c.AllSteps() {
		path := "canary"
		if len(c.Steps) > 0 {
			path = fmt.Sprintf("canary.steps.%d", n)
			if !exactlyOne(step.Percent > 0, step.Count > 0, step.Query != "") {
				problems = append(problems, path+" in body should have either percent, count or query")
			}
		}
		if _, err := step.Selector(); err != nil {
			problems = append(problems, path+"."+inBody(err))
		}
		const smaller = "%s.%s in body should be greater than %d, that of an earlier step"
		if step.Percent > 0 && step.Percent <= largest.Percent {
			problems = append(problems, fmt.Sprintf(smaller, path, "percent", largest.Percent))
		}
		if step.Count > 0 && step.Count <= largest.Count {
			problems = append(problems, fmt.Sprintf(smaller, path, "count", largest.Count))
		}
		largest.Percent, largest.Count = max(largest.Percent, step.Percent), max(largest.Count, step.Count)
	}
	return problems
}

func exactlyOne(given ...bool) bool {
	count := 0
	for _, is := range given {
		if is {
			count++
		}
	}
	return count == 1
}
