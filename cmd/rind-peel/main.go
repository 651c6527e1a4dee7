// Command rind-peel is the agent on a managed host.
package main

import (
	"os"

	"github.com/rind-project/rind/internal/app/peel"
)

func main() { os.Exit(peel.Main(os.Args[1:], os.Stdout, os.Stderr)) }
