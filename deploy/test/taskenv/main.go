// Command taskenv prints the environment variables of a container in a task definition of a template, one NAME=VALUE a
// line, as docker run --env-file reads them. A secret's value is its reference.
//
//	taskenv TEMPLATE TASK_DEFINITION [PARAMETER=VALUE]...
package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/blox/blox/deploy/test/template"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		log.Fatal("taskenv: ", err)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return errors.New("no TEMPLATE or no TASK_DEFINITION")
	}
	parameters := map[string]string{}
	for _, arg := range args[2:] {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			return fmt.Errorf("invalid parameter %q: PARAMETER=VALUE is required", arg)
		}
		parameters[name] = value
	}
	stack, err := template.Read(args[0], parameters)
	if err != nil {
		return err
	}
	variables, err := stack.Environment(args[1])
	if err != nil {
		return err
	}
	for _, variable := range variables {
		fmt.Println(variable)
	}
	return nil
}
