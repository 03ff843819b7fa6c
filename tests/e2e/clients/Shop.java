// Log4j 2 and Logback as Debian has them: each sends the events that stand on standard input.
//
// Arguments: the client, and where to find the server (HTTP, TCP and UDP port, token). Each event is {text, level, extra}.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;

public class Shop {
    public static void main(String[] arguments) throws Exception {
        String client = arguments[0], http = arguments[1], tcp = arguments[2], udp = arguments[3], token = arguments[4];
        JsonNode events = new ObjectMapper().readTree(System.in);
        if (client.startsWith("Logback")) {
            logback(udp, events);
        } else {
            log4j(client, http, tcp, udp, token, events);
        }
    }

    static void log4j(String client, String http, String tcp, String udp, String token, JsonNode events) throws Exception {
        String syslog = "<Syslog name='out' host='127.0.0.1' appName='shop' mdcId='mdc' messageId='shop' newLine='%s'"
            + " format='RFC5424' facility='USER' protocol='%s' port='%s' immediateFlush='true'/>";
        String gelf = "<Socket name='out' host='127.0.0.1' protocol='%s' port='%s'>"
            + "<GelfLayout host='web1' compressionType='%s' includeNullDelimiter='%s'/></Socket>";
        String json = "<JsonLayout compact='true' eventEol='true' properties='true'/>";
        String appender = switch (client) {
            case "Log4j 2, syslog over TCP" -> syslog.formatted("true", "TCP", tcp);
            case "Log4j 2, syslog over UDP" -> syslog.formatted("false", "UDP", udp);
            case "Log4j 2, GELF over TCP" -> gelf.formatted("TCP", tcp, "OFF", "true");
            case "Log4j 2, GELF over UDP" -> gelf.formatted("UDP", udp, "GZIP", "false");
            case "Log4j 2, JSON over TCP" -> "<Socket name='out' host='127.0.0.1' port='" + tcp + "'>" + json + "</Socket>";
            default -> "<Http name='out' url='http://127.0.0.1:" + http + "/api/v1/ingest'>"
                + "<Property name='Authorization' value='Bearer " + token + "'/>" + json + "</Http>";
        };
        Path file = Files.createTempFile("log4j2", ".xml");
        Files.writeString(file, "<Configuration status='ERROR'><Appenders>" + appender
            + "</Appenders><Loggers><Root level='debug'><AppenderRef ref='out'/></Root></Loggers></Configuration>");
        System.setProperty("log4j2.configurationFile", file.toString());
        var logger = org.apache.logging.log4j.LogManager.getLogger("shop");
        for (JsonNode event : events) {
            logger.log(org.apache.logging.log4j.Level.toLevel(event.get("level").asText()), event.get("text").asText());
        }
        org.apache.logging.log4j.LogManager.shutdown();
        Files.delete(file);
    }

    static void logback(String udp, JsonNode events) {
        var context = new ch.qos.logback.classic.LoggerContext();
        var appender = new ch.qos.logback.classic.net.SyslogAppender();
        appender.setContext(context);
        appender.setSyslogHost("127.0.0.1");
        appender.setPort(Integer.parseInt(udp));
        appender.setFacility("USER");
        appender.setSuffixPattern("%msg");
        appender.start();
        var logger = context.getLogger("shop");
        logger.addAppender(appender);
        for (JsonNode event : events) {
            String text = event.get("text").asText();
            switch (event.get("level").asText()) {
                case "error" -> logger.error("{}", text);
                case "warn" -> logger.warn("{}", text);
                default -> logger.info("{}", text);
            }
        }
        context.stop();
    }
}
