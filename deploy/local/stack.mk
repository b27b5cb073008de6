# The local stack, for the Makefile at the root to include. `make up STACK=test` is another one beside `dev`.
STACK ?= dev
STACK_PY := python3 deploy/local/stack.py --name $(STACK)

.PHONY: up down status clean

up: ; @$(STACK_PY) up
down: ; @$(STACK_PY) down
status: ; @$(STACK_PY) status
clean: ; @$(STACK_PY) clean
