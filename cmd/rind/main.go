// Command rind is the operator's command line, and the server.
package main

import (
	"os"

	"github.com/rind-project/rind/internal/app/server"
)

func main() { os.Exit(server.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
