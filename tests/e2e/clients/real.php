<?php
// Monolog as Debian has it: sends the events that stand on standard input.
//
// Arguments: the handler, and where to find the server (HTTP, TCP and UDP port, token). Each event is {text, level, extra}.

require '/usr/share/php/Monolog/autoload.php';

use Monolog\Formatter\JsonFormatter;
use Monolog\Handler\SocketHandler;
use Monolog\Handler\SyslogUdpHandler;
use Monolog\Logger;

[, $client, , $tcp, $udp] = $argv;
$events = json_decode(stream_get_contents(STDIN), true);
if ($client === 'Monolog, SyslogUdpHandler') {
    $handler = new SyslogUdpHandler('127.0.0.1', (int) $udp, LOG_USER, Logger::DEBUG, true, 'shop', SyslogUdpHandler::RFC5424);
    $handler->setFormatter(new Monolog\Formatter\LineFormatter('%message%', null, true));
} else {
    $handler = new SocketHandler("tcp://127.0.0.1:$tcp");
    $handler->setFormatter(new JsonFormatter());
}
$logger = new Logger('shop', [$handler]);
$names = ['info' => 'info', 'warn' => 'warning', 'error' => 'error'];
foreach ($events as ['text' => $text, 'level' => $level, 'extra' => $extra]) {
    $logger->log($names[$level], $text, $extra);
}
$logger->close();
